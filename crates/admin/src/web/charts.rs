//! Charts as SVG, made here: columns over time, lines over time, bars by name. Each has a sentence
//! that says what it shows, a table with the same numbers, and tells its parts apart by pattern and
//! word, never by colour alone.
//!
//! Not here: what is shown (`reports`).

use std::fmt::Write as _;

use super::marked::escaped;
use super::records::Gauge;

/// Width and height of a chart, in its own units.
const WIDTH: u64 = 640;
const HEIGHT: u64 = 200;
/// What the names below and beside it take.
const MARGIN: u64 = 20;
const LEFT: u64 = 48;
/// What moves the part of a chart that is looked at: name, mark and key of the words.
pub(super) const ZOOMS: [(&str, &str, &str); 5] = [
    ("in", "+", "chart-closer"),
    ("out", "−", "chart-farther"),
    ("left", "←", "chart-earlier"),
    ("right", "→", "chart-later"),
    ("whole", "↔", "chart-whole"),
];
/// Bars of one chart.
pub(super) const BARS_MAX: usize = 10;
/// Height of one bar with its name.
const BAR: u64 = 26;
/// Room for the names in front of bars.
const NAMES: u64 = WIDTH / 2 - 60;
/// Room of the longest bar at least.
const BAR_ROOM_MIN: u64 = 60;
/// Room of a letter, about.
const LETTER: u64 = 7;
/// Names of bars, in characters.
const NAME_MAX: usize = 34;

/// A chart with everything around it.
pub(super) struct Chart {
    /// In the address of its file, and of the place on the page.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// What it shows, in one sentence.
    pub(super) finding: String,
    /// Nothing to show: the sentence alone.
    pub(super) is_empty: bool,
    /// Ready for the page: every text in it is escaped.
    pub(super) svg: String,
    /// The parts, told apart: pattern of a surface or class of a line, and word.
    pub(super) legend: Vec<(&'static str, String)>,
    /// What the names of its bars mean, where they are tokens.
    pub(super) meanings: Vec<(String, &'static str)>,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// Its file, with the same range.
    pub(super) csv: String,
    /// Where more is told of it: words and address.
    pub(super) more: Option<(String, String)>,
    /// How full what it shows is: a name, and its gauges.
    pub(super) gauges: Vec<(String, Vec<Gauge>)>,
}

impl Chart {
    /// Over time, so that a part of it can be looked at closer.
    pub(super) fn is_over_time(&self) -> bool {
        matches!(self.id, "mail" | "queue" | "delay")
    }
}

/// A column of a chart over time.
pub(super) struct Column {
    /// For the name that a pointer shows, and for readers of screens.
    pub(super) label: String,
    /// Below the column, where there is room.
    pub(super) tick: String,
    /// Where a press leads.
    pub(super) address: String,
    /// One number for each part, from below.
    pub(super) parts: Vec<u64>,
}

/// A bar.
pub(super) struct Bar {
    pub(super) name: String,
    /// What is written behind it.
    pub(super) words: String,
    pub(super) address: String,
    pub(super) value: u64,
    /// Of it, this much is of the second kind (failed, refused).
    pub(super) second: u64,
}

/// The patterns of the parts of one chart; `id` keeps them apart from those of the next one.
fn patterns(id: &str) -> String {
    format!(
        "<defs>\
         <pattern id=\"{id}-1\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"part0\" width=\"6\" height=\"6\"/></pattern>\
         <pattern id=\"{id}-2\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"paper\" width=\"6\" height=\"6\"/>\
         <path class=\"line1\" d=\"M0 6L6 0M-1 1L1 -1M5 7L7 5\"/></pattern>\
         <pattern id=\"{id}-3\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"part2\" width=\"6\" height=\"6\"/>\
         <path class=\"line-paper\" d=\"M0 3H6\"/></pattern>\
         <pattern id=\"{id}-4\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
         <rect class=\"paper\" width=\"6\" height=\"6\"/>\
         <circle class=\"dot3\" cx=\"3\" cy=\"3\" r=\"2\"/></pattern>\
         </defs>"
    )
}

/// The numbers beside a chart: where its scale ends, and how they are written.
pub(super) struct Axis<'a> {
    /// At or above the highest; its half is written too.
    pub(super) top: u64,
    pub(super) tick: &'a dyn Fn(u64) -> String,
}

/// The units of spans in milliseconds, and where a scale in it may end: its half is a round number
/// of the same unit.
const SPANS: [(u64, &[u64]); 4] = [
    (1, &[2, 4, 10, 20, 40, 100, 200, 400, 1_000]),
    (1_000, &[2, 4, 10, 20, 30, 60]),
    (60_000, &[2, 4, 10, 20, 30, 60]),
    (3_600_000, &[2, 4, 12, 24]),
];
/// A day; beyond, days are counted as anything else is.
const DAY: u64 = 86_400_000;

/// Where a scale of spans ends, in milliseconds, and the unit of all its numbers: `0`, `1 min`,
/// `2 min`, never `100 s` and `3 min`. `least`: the shortest unit that is measured.
pub(super) fn span_scale(highest: u64, least: u64) -> (u64, u64) {
    let units = SPANS.iter().filter(|(unit, _)| *unit >= least);
    let mut tops = units.flat_map(|(unit, tops)| tops.iter().map(move |top| (top * unit, *unit)));
    tops.find(|(top, _)| *top >= highest)
        .unwrap_or_else(|| (top_of(highest.div_ceil(DAY)).saturating_mul(DAY), DAY))
}

/// A round number at or above the highest, for the scale, whose half is a whole number.
fn top_of(highest: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            let top = step.saturating_mul(factor);
            if top >= highest.max(1) || top == u64::MAX {
                return top;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn scaled(value: u64, top: u64, length: u64) -> f64 {
    // Precision beyond a hundredth of a unit is not seen.
    value as f64 / top as f64 * length as f64
}

fn opening(height: u64, finding: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"group\" aria-label=\"{}\">",
        escaped(finding)
    )
}

fn scale(axis: &Axis<'_>) -> String {
    let top = axis.top;
    let bottom = HEIGHT - MARGIN;
    let mut svg = String::new();
    for (value, y) in [(top, 10), (top / 2, (10 + bottom) / 2), (0, bottom)] {
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y}H{WIDTH}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 6,
            y + 4,
            escaped(&(axis.tick)(value))
        );
    }
    svg
}

/// Stacked columns over time.
pub(super) fn columns(
    id: &str,
    finding: &str,
    columns: &[Column],
    label: &dyn Fn(u64) -> String,
) -> String {
    let sums = columns.iter().map(|column| column.parts.iter().sum());
    let top = top_of(sums.max().unwrap_or(0));
    let (bottom, room) = (HEIGHT - MARGIN, HEIGHT - MARGIN - 10);
    let step = (WIDTH - LEFT) as f64 / columns.len().max(1) as f64;
    let ticks = columns.len().div_ceil(8).max(1);
    let axis = Axis { top, tick: label };
    let mut svg = opening(HEIGHT, finding) + &patterns(id) + &scale(&axis);
    for (place, column) in columns.iter().enumerate() {
        let x = LEFT as f64 + place as f64 * step;
        let _ = write!(
            svg,
            "<a href=\"{}\" aria-label=\"{}\"><title>{}</title>\
             <rect class=\"hit\" x=\"{x:.1}\" y=\"10\" width=\"{step:.1}\" height=\"{room}\"/>",
            escaped(&column.address),
            escaped(&column.label),
            escaped(&column.label)
        );
        let mut y = bottom as f64;
        for (part, value) in column.parts.iter().enumerate() {
            let height = scaled(*value, top, room);
            y -= height;
            if *value > 0 {
                let _ = write!(
                    svg,
                    "<rect class=\"part\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
                     height=\"{height:.1}\" fill=\"url(#{id}-{})\"/>",
                    x + 1.0,
                    (step - 2.0).max(1.0),
                    part + 1
                );
            }
        }
        svg.push_str("</a>");
        if place % ticks == 0 {
            svg.push_str(&time_tick(x, &column.tick));
        }
    }
    svg + "</svg>"
}

/// The name of a place on the axis of time: from there on, or, where it would stand outside of the
/// frame, up to its edge.
fn time_tick(x: f64, name: &str) -> String {
    let (y, name_width) = (HEIGHT - 5, name.chars().count() as u64 * LETTER);
    let (x, anchor) = match x + name_width as f64 > WIDTH as f64 {
        true => (WIDTH as f64, " text-anchor=\"end\""),
        false => (x, ""),
    };
    let name = escaped(name);
    format!("<text class=\"tick\" x=\"{x:.1}\" y=\"{y}\"{anchor}>{name}</text>")
}

/// The highest number of lines.
pub(super) fn highest(series: &[Vec<Option<u64>>]) -> u64 {
    let highest = series.iter().flatten().flatten().max();
    highest.copied().unwrap_or(0)
}

/// Lines over time; a step without a number breaks its line.
pub(super) fn lines(
    finding: &str,
    ticks: &[String],
    series: &[Vec<Option<u64>>],
    axis: &Axis<'_>,
    label: &dyn Fn(u64) -> String,
) -> String {
    let top = axis.top;
    let (bottom, room) = (HEIGHT - MARGIN, HEIGHT - MARGIN - 10);
    let step = (WIDTH - LEFT - 10) as f64 / ticks.len().saturating_sub(1).max(1) as f64;
    let every = ticks.len().div_ceil(8).max(1);
    let mut svg = opening(HEIGHT, finding) + &scale(axis);
    for (number, values) in series.iter().enumerate() {
        let (mut path, mut dots, mut pen) = (String::new(), String::new(), 'M');
        for (place, value) in values.iter().enumerate() {
            let Some(value) = value else {
                pen = 'M';
                continue;
            };
            let x = LEFT as f64 + place as f64 * step;
            let y = bottom as f64 - scaled(*value, top, room);
            let _ = write!(path, "{pen}{x:.1} {y:.1}");
            let _ = write!(
                dots,
                "<circle class=\"dot{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"><title>{}: {}\
                 </title></circle>",
                escaped(&ticks[place]),
                escaped(&label(*value))
            );
            pen = 'L';
        }
        let _ = write!(svg, "<path class=\"series{number}\" d=\"{path}\"/>{dots}");
    }
    for (place, tick) in ticks.iter().enumerate().step_by(every) {
        let x = LEFT as f64 + place as f64 * step;
        svg.push_str(&time_tick(x, tick));
    }
    svg + "</svg>"
}

/// What a bar is called: what is to be seen (WCAG 2.2 §2.5.3), and behind it a name cut short.
fn spoken(bar: &Bar, shown: &str) -> String {
    let rest = if bar.name == shown { "" } else { &bar.name };
    let seen = format!("{shown} {} {rest}", bar.words);
    seen.trim_end().to_owned()
}

/// Bars by name, the largest first.
pub(super) fn bars(id: &str, finding: &str, bars: &[Bar]) -> String {
    let shown = &bars[..bars.len().min(BARS_MAX)];
    let top = shown.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let height = shown.len() as u64 * BAR + 4;
    let mut svg = opening(height, finding) + &patterns(id);
    // The longest words behind a bar stay within the picture.
    let letters = shown.iter().map(|bar| bar.words.chars().count() as u64);
    let for_words = letters.max().unwrap_or(0) * LETTER + 12;
    let room = (WIDTH - NAMES).saturating_sub(for_words);
    let room = room.clamp(BAR_ROOM_MIN, WIDTH / 2 - 60);
    for (place, bar) in shown.iter().enumerate() {
        let y = place as u64 * BAR;
        let name: String = bar.name.chars().take(NAME_MAX).collect();
        let (all, second) = (
            scaled(bar.value, top, room),
            scaled(bar.second.min(bar.value), top, room),
        );
        let _ = write!(
            svg,
            "<a href=\"{}\" aria-label=\"{}\">\
             <rect class=\"hit\" x=\"0\" y=\"{y}\" width=\"{WIDTH}\" height=\"{BAR}\"/>\
             <text class=\"name\" x=\"0\" y=\"{}\">{}</text> \
             <rect class=\"part\" x=\"{}\" y=\"{}\" width=\"{:.1}\" height=\"14\" \
             fill=\"url(#{id}-1)\"/>\
             <rect class=\"part\" x=\"{:.1}\" y=\"{}\" width=\"{second:.1}\" height=\"14\" \
             fill=\"url(#{id}-3)\"/>\
             <text class=\"value\" x=\"{:.1}\" y=\"{}\">{}</text></a>",
            escaped(&bar.address),
            escaped(&spoken(bar, &name)),
            y + 17,
            escaped(&name),
            NAMES,
            y + 6,
            all - second,
            NAMES as f64 + all - second,
            y + 6,
            NAMES as f64 + all + 6.0,
            y + 17,
            escaped(&bar.words)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(parts: &[u64]) -> Column {
        Column {
            label: "<10:00> & \"more\"".to_owned(),
            tick: "10".to_owned(),
            address: "/trace?q=a&since=1h".to_owned(),
            parts: parts.to_vec(),
        }
    }

    #[test]
    fn the_scale_ends_at_a_round_number_above_whose_half_is_whole() {
        for (highest, top) in [(0, 2), (1, 2), (3, 4), (5, 10), (11, 20), (401, 1_000)] {
            assert_eq!(top_of(highest), top);
        }
        assert_eq!(top_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_scale_of_spans_has_round_numbers_of_one_unit() {
        const SECOND: u64 = 1_000;
        const MINUTE: u64 = 60 * SECOND;
        const HOUR: u64 = 60 * MINUTE;
        for (highest, least, top, unit) in [
            (0, 1, 2, 1),
            (37, 1, 40, 1),
            (900, 1, 1_000, 1),
            (1_001, 1, 2 * SECOND, SECOND),
            (0, SECOND, 2 * SECOND, SECOND),
            (45 * SECOND, SECOND, 60 * SECOND, SECOND),
            (61 * SECOND, SECOND, 2 * MINUTE, MINUTE),
            (190 * SECOND, SECOND, 4 * MINUTE, MINUTE),
            (31 * MINUTE, SECOND, 60 * MINUTE, MINUTE),
            (61 * MINUTE, SECOND, 2 * HOUR, HOUR),
            (13 * HOUR, SECOND, 24 * HOUR, HOUR),
            (25 * HOUR, SECOND, 2 * DAY, DAY),
            (5 * DAY + 1, SECOND, 10 * DAY, DAY),
        ] {
            assert_eq!(span_scale(highest, least), (top, unit), "{highest}");
            assert_eq!(top / 2 % unit, 0, "{highest}");
        }
        let (top, unit) = span_scale(u64::MAX, 1);
        assert_eq!((top, unit), (u64::MAX, DAY));
    }

    #[test]
    fn the_words_behind_the_longest_bar_stay_within_the_picture() {
        let words = "1 (une semaine plus tôt\u{202f}: 1 234)";
        let bar = Bar {
            name: "10.1.2.9".to_owned(),
            words: words.to_owned(),
            address: "/trace".to_owned(),
            value: 1,
            second: 0,
        };
        let svg = bars("b", "x", &[bar]);
        let (_, rest) = svg.split_once("class=\"value\" x=\"").expect("words");
        let x: f64 = rest
            .split('"')
            .next()
            .expect("x")
            .parse()
            .expect("a number");
        let end = x + (words.chars().count() as u64 * LETTER) as f64;
        assert!(end <= WIDTH as f64, "{end}");
    }

    #[test]
    fn no_text_of_a_stranger_becomes_a_part_of_the_picture() {
        let hostile = Bar {
            name: "<script>alert(1)</script>".to_owned(),
            words: "\"><x".to_owned(),
            address: "/trace?q=\"'<".to_owned(),
            value: 3,
            second: 1,
        };
        let svg = bars("b", "a < b", &[hostile]);
        assert!(!svg.contains("<script") && !svg.contains("\"><x"), "{svg}");
        let svg = columns("c", "x", &[column(&[1, 2])], &|n| n.to_string());
        assert!(
            svg.contains("&#60;10:00&#62; &#38; &#34;more&#34;"),
            "{svg}"
        );
        assert!(svg.contains("href=\"/trace?q=a&#38;since=1h\""), "{svg}");
    }

    #[test]
    fn a_column_is_as_high_as_its_parts_and_nothing_has_no_height() {
        let svg = columns("c", "x", &[column(&[5, 0, 5]), column(&[0, 0, 0])], &|n| {
            n.to_string()
        });
        assert_eq!(svg.matches("class=\"part\"").count(), 2, "{svg}");
        assert!(svg.contains("height=\"85.0\" fill=\"url(#c-1)\""), "{svg}");
        assert_eq!(svg.matches("<a ").count(), 2);
    }

    #[test]
    fn a_time_at_the_edge_is_written_up_to_it_and_no_other_is_moved() {
        let ticks = ["04:00", "08:00"].map(ToOwned::to_owned);
        let tick = |n: u64| n.to_string();
        let axis = Axis {
            top: 2,
            tick: &tick,
        };
        let svg = lines("x", &ticks, &[vec![Some(1), Some(2)]], &axis, &tick);
        assert!(svg.contains("x=\"48.0\" y=\"195\">04:00<"), "{svg}");
        let last = "x=\"640.0\" y=\"195\" text-anchor=\"end\">08:00<";
        assert!(svg.contains(last), "{svg}");
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_number() {
        let ticks = ["1", "2", "3"].map(ToOwned::to_owned);
        let tick = |n: u64| n.to_string();
        let axis = Axis {
            top: 2,
            tick: &tick,
        };
        let svg = lines("x", &ticks, &[vec![Some(1), None, Some(2)]], &axis, &tick);
        assert!(svg.contains("d=\"M") && !svg.contains('L'), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
