//! Page Reports and the charts of Home: numbers that the store counts, drawn, told in a sentence,
//! as a table and as a file.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;

use relais_smtp::time::Timestamp;

use super::ask::{Centre, Refused, address, list, text};
use super::charts::{self, Axis, Bar, Chart, Column};
use super::door::{Reader, Visit};
use super::files::{self, csv_line};
use super::page::{self, Frame};
use super::records::Gauge;
use super::standing;
use crate::context::{AdminContext, Caller};
use crate::lang::Lang;
use crate::permission::Action;
use crate::plain::clean;
use crate::times;
use crate::words::meaning;

/// The range where nothing is asked for.
const SINCE_DEFAULT: &str = "24h";
/// A client that sent so many before and nothing now has gone quiet.
const QUIET_MIN: u64 = 5;
/// Longer spans are compared with the span before.
const WEEK: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);
/// Versions that are too old. RFC 8996.
const TOO_OLD: [&str; 2] = ["1.0", "1.1"];

pub(super) fn routes() -> Router<Centre> {
    Router::new()
        .route("/reports", get(show))
        .route("/reports.json", get(whole))
        .route("/reports/{file}", get(file))
}

#[derive(Template)]
#[template(path = "reports.html")]
struct Reports {
    frame: Frame,
    ranges: Vec<(String, String, bool)>,
    charts: Vec<Chart>,
    files: Vec<(&'static str, String)>,
}

/// What a chart is made of.
struct Ground<'a> {
    lang: Lang,
    since: &'a str,
    report: &'a Value,
    /// How the ways out stand.
    standings: &'a [Value],
}

fn since_of(visit: &Visit) -> &str {
    let since = visit.query.get("since");
    if since.is_empty() {
        SINCE_DEFAULT
    } else {
        since
    }
}

async fn show(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let since = since_of(&visit);
    let charts = match all(&centre, visit.caller(), visit.lang, since).await {
        Ok(charts) => charts,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let range = |(name, key): (&'static str, &str)| {
        let address = address("/reports", &[("since", name)]);
        (visit.lang.t(key), address, name == since)
    };
    let asked = [("since", since)];
    page::send(&Reports {
        ranges: times::RANGES.map(range).to_vec(),
        charts,
        files: vec![("JSON", address("/reports.json", &asked))],
        frame: Frame::new(&visit, "reports", &visit.lang.t("nav-reports"))
            .api(address("GET /api/v1/reports", &asked)),
    })
}

/// All numbers of the page as a file.
async fn whole(State(centre): State<Centre>, Reader(visit): Reader) -> Response {
    let asked = [("since", since_of(&visit))];
    match centre.get(visit.caller(), "/reports", &asked).await {
        Ok(report) => files::whole("reports", &report),
        Err(refused) => page::refused(&visit, &refused),
    }
}

/// One chart's table as a file.
async fn file(
    State(centre): State<Centre>,
    Reader(visit): Reader,
    Path(file): Path<String>,
) -> Response {
    let since = since_of(&visit);
    let charts = match all(&centre, visit.caller(), visit.lang, since).await {
        Ok(charts) => charts,
        Err(refused) => return page::refused(&visit, &refused),
    };
    let wanted = |chart: &&Chart| file.strip_suffix(".csv") == Some(chart.id);
    let Some(chart) = charts.iter().find(wanted) else {
        let words = visit.lang.t("error-not-found");
        return page::failed(&visit, StatusCode::NOT_FOUND, &words);
    };
    let mut text = csv_line(&chart.head);
    for row in &chart.rows {
        text.push_str(&csv_line(row));
    }
    let name = format!("attachment; filename=\"{}.csv\"", chart.id);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, text).into_response()
}

async fn all(
    centre: &Centre,
    caller: &Caller,
    lang: Lang,
    since: &str,
) -> Result<Vec<Chart>, Refused> {
    let asked = [("since", since)];
    let report = centre.get(caller, "/reports", &asked).await?;
    // Limits are settings, which not everybody may read.
    let standings = match caller.rights.may(Action::ReadSettings) {
        true => standing::all(centre, caller).await?,
        false => Vec::new(),
    };
    let ground = Ground {
        lang,
        since,
        report: &report,
        standings: &standings,
    };
    Ok(vec![
        mail(&ground),
        queue(&ground),
        delay(&ground),
        clients(&ground),
        refusals(&ground),
        security(&ground),
        routes_of(&ground),
        destinations(&ground),
    ])
}

/// A chart as its table, for who reads it elsewhere.
pub(crate) struct ReportTable {
    /// As its file is called.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    /// What it shows, in one sentence.
    pub(crate) finding: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Rows of a table in a message; its file has all.
const ROWS_IN_MAIL: usize = 25;

impl ReportTable {
    /// As many as a person reads.
    pub(crate) fn first_rows(&self) -> impl Iterator<Item = &Vec<String>> {
        self.rows.iter().take(ROWS_IN_MAIL)
    }

    /// As a file. RFC 4180.
    pub(crate) fn csv(&self) -> String {
        let rows = self.rows.iter().map(|row| csv_line(row));
        csv_line(&self.head) + &rows.collect::<String>()
    }
}

/// The tables of all charts, as this caller may see them.
pub(crate) async fn tables(
    context: &AdminContext,
    caller: &Caller,
    lang: Lang,
    since: &str,
) -> Result<Vec<ReportTable>, String> {
    let centre = Centre::new(context.clone());
    let charts = all(&centre, caller, lang, since).await;
    let charts = charts.map_err(|refused| refused.detail)?.into_iter();
    let table = |chart: Chart| ReportTable {
        id: chart.id,
        title: chart.title,
        finding: chart.finding,
        head: chart.head,
        rows: chart.rows,
    };
    Ok(charts.map(table).collect())
}

/// The charts of Home: mail over time, the queue, refusals.
pub(super) async fn of_home(centre: &Centre, visit: &Visit) -> Result<Vec<Chart>, Refused> {
    let charts = all(centre, visit.caller(), visit.lang, SINCE_DEFAULT).await?;
    let of_home = |chart: &Chart| matches!(chart.id, "mail" | "queue" | "delay" | "clients");
    Ok(charts.into_iter().filter(of_home).collect())
}

impl Ground<'_> {
    fn chart(&self, id: &'static str, title: &str, finding: String) -> Chart {
        let path = format!("/reports/{id}.csv");
        Chart {
            id,
            title: self.lang.t(title),
            finding,
            is_empty: false,
            svg: String::new(),
            legend: Vec::new(),
            meanings: Vec::new(),
            head: Vec::new(),
            rows: Vec::new(),
            csv: address(&path, &[("since", self.since)]),
            more: None,
            gauges: Vec::new(),
        }
    }

    fn empty(&self, id: &'static str, title: &str) -> Chart {
        Chart {
            is_empty: true,
            ..self.chart(id, title, self.lang.t("chart-empty"))
        }
    }

    /// With which time clients are compared, in words.
    fn when(&self) -> String {
        let time = |key: &str| Timestamp::parse_rfc3339(text(self.report, key));
        let span = time("since").zip(time("before_since"));
        let is_week = span.is_some_and(|(since, before)| since.since(before) <= WEEK);
        self.lang.t(match is_week {
            true => "chart-week-before",
            false => "chart-span-before",
        })
    }

    fn rows(&self, key: &str) -> &[Value] {
        list(self.report, key)
    }

    fn trace(&self, q: &str) -> String {
        address("/trace", &[("q", q), ("since", self.since)])
    }

    /// The time below a column.
    fn tick(&self, time: &str) -> String {
        let step = self.report["step_s"].as_u64().unwrap_or(0);
        if step < 86_400 && matches!(self.since, "1h" | "24h") {
            return times::clock(self.lang, time);
        }
        times::day(self.lang, time)
    }

    fn head(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| self.lang.t(key)).collect()
    }
}

fn number(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or(0)
}

/// Whole per cent; something is never nothing.
fn share(part: u64, all: u64) -> u64 {
    match part {
        0 => 0,
        part => (part * 100 / all.max(1)).max(1),
    }
}

/// The end of the step that begins at a time.
fn end_of(time: &str, step_s: u64) -> String {
    let begin = Timestamp::parse_rfc3339(time).unwrap_or_default();
    begin
        .after(std::time::Duration::from_secs(step_s))
        .to_rfc3339()
}

const OUTCOMES: [(&str, &str); 4] = [
    ("delivered", "status-delivered"),
    ("deferred", "status-deferred"),
    ("failed", "status-failed"),
    ("refused", "status-refused"),
];

fn mail(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("outcomes"));
    let sum = |key: &str| rows.iter().map(|row| number(row, key)).sum::<u64>();
    let mut head = ground.head(&["column-time", "status-accepted"]);
    head.extend(OUTCOMES.map(|(_, name)| lang.t(name)));
    if ["accepted", "refused", "delivered", "deferred", "failed"]
        .iter()
        .all(|key| sum(key) == 0)
    {
        return Chart {
            head,
            ..ground.empty("mail", "chart-mail")
        };
    }
    let told = ["accepted", "failed", "refused"].map(|key| lang.number(sum(key)));
    let values = [
        ("accepted", &*told[0]),
        ("failed", &*told[1]),
        ("refused", &*told[2]),
    ];
    let finding = lang.fill("chart-mail-finding", &values);
    let step = number(ground.report, "step_s");
    let column = |row: &Value| {
        let time = text(row, "time");
        let parts = OUTCOMES.map(|(key, _)| number(row, key));
        let words = OUTCOMES
            .iter()
            .zip(parts)
            .map(|((_, name), value)| format!("{} {}", lang.t(name), lang.number(value)));
        let words: Vec<_> = words.collect();
        let range = [("since", time), ("until", &end_of(time, step))];
        Column {
            label: format!("{} – {}", times::shown(lang, Some(time)), words.join(", ")),
            tick: ground.tick(time),
            address: address("/trace", &range),
            parts: parts.to_vec(),
        }
    };
    let columns: Vec<_> = rows.iter().map(column).collect();
    let svg = charts::columns("mail", &finding, &columns, &|value| lang.number(value));
    let table = rows.iter().map(|row| {
        let mut cells = vec![
            text(row, "time").to_owned(),
            number(row, "accepted").to_string(),
        ];
        cells.extend(OUTCOMES.map(|(key, _)| number(row, key).to_string()));
        cells
    });
    let classes = [
        "url(#mail-1)",
        "url(#mail-2)",
        "url(#mail-3)",
        "url(#mail-4)",
    ];
    let legend = classes.iter().zip(OUTCOMES);
    Chart {
        svg,
        legend: legend
            .map(|(class, (_, name))| (*class, lang.t(name)))
            .collect(),
        head,
        rows: table.collect(),
        ..ground.chart("mail", "chart-mail", finding)
    }
}

fn queue(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("queue"));
    if rows.is_empty() {
        return ground.empty("queue", "chart-queue");
    }
    let oldest = rows.iter().map(|row| number(row, "oldest_s")).max();
    let waiting = |row: &Value| {
        ["queued", "deferred", "held"]
            .map(|key| number(row, key))
            .iter()
            .sum()
    };
    let most: u64 = rows.iter().map(waiting).max().unwrap_or(0);
    let finding = match oldest {
        // A line along the ground says no more than the sentence.
        Some(0) | None => {
            return Chart {
                is_empty: true,
                ..ground.chart("queue", "chart-queue", lang.t("chart-queue-nothing"))
            };
        }
        Some(oldest) => {
            let finding = lang.with("chart-queue-finding", &times::span(lang, oldest));
            format!("{finding} {}", lang.n("chart-queue-most", most))
        }
    };
    let ticks: Vec<_> = rows
        .iter()
        .map(|row| ground.tick(text(row, "time")))
        .collect();
    let ages = rows.iter().map(|row| Some(number(row, "oldest_s")));
    let series = [ages.collect::<Vec<_>>()];
    let (top, unit) = charts::span_scale(oldest.unwrap_or(0).saturating_mul(1_000), 1_000);
    let tick = |age: u64| times::in_unit(lang, age.saturating_mul(1_000), unit);
    let axis = Axis {
        top: top / 1_000,
        tick: &tick,
    };
    let svg = charts::lines(&finding, &ticks, &series, &axis, &|age| {
        times::span(lang, age)
    });
    let table = rows.iter().map(|row| {
        let mut cells = vec![text(row, "time").to_owned()];
        let keys = ["oldest_s", "queued", "deferred", "held"];
        cells.extend(keys.map(|key| number(row, key).to_string()));
        cells
    });
    Chart {
        svg,
        legend: vec![("series0", lang.t("chart-queue-age"))],
        head: ground.head(&[
            "column-time",
            "chart-queue-age-s",
            "home-queued",
            "home-deferred",
            "home-held",
        ]),
        rows: table.collect(),
        ..ground.chart("queue", "chart-queue", finding)
    }
}

fn delay(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("delays"));
    let all = &ground.report["delay"];
    let (Some(half), Some(nearly_all)) = (all["p50_ms"].as_u64(), all["p95_ms"].as_u64()) else {
        return ground.empty("delay", "chart-delay");
    };
    let told = [half, nearly_all].map(|millis| times::milliseconds(lang, millis));
    let finding = lang.fill(
        "chart-delay-finding",
        &[("half", &told[0]), ("most", &told[1])],
    );
    let ticks: Vec<_> = rows
        .iter()
        .map(|row| ground.tick(text(row, "time")))
        .collect();
    let line = |key: &str| rows.iter().map(|row| row[key].as_u64()).collect::<Vec<_>>();
    let series = [line("p50_ms"), line("p95_ms")];
    let label = |millis| times::milliseconds(lang, millis);
    let (top, unit) = charts::span_scale(charts::highest(&series), 1);
    let tick = |millis| times::in_unit(lang, millis, unit);
    let axis = Axis { top, tick: &tick };
    let svg = charts::lines(&finding, &ticks, &series, &axis, &label);
    let cell = |row: &Value, key: &str| {
        row[key]
            .as_u64()
            .map_or_else(String::new, |n| n.to_string())
    };
    let table = rows.iter().map(|row| {
        let mut cells = vec![text(row, "time").to_owned()];
        cells.extend(["p50_ms", "p95_ms", "count"].map(|key| cell(row, key)));
        cells
    });
    Chart {
        svg,
        legend: vec![
            ("series0", lang.t("chart-delay-half")),
            ("series1", lang.t("chart-delay-most")),
        ],
        head: ground.head(&[
            "column-time",
            "chart-delay-half-ms",
            "chart-delay-most-ms",
            "status-delivered",
        ]),
        rows: table.collect(),
        ..ground.chart("delay", "chart-delay", finding)
    }
}

fn clients(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("clients"));
    // Who was only refused sent nothing.
    let senders = rows.iter();
    let senders = senders.filter(|row| number(row, "accepted") + number(row, "before") > 0);
    let Some(first) = senders.max_by_key(|row| number(row, "accepted")) else {
        return ground.empty("clients", "chart-clients");
    };
    let is_quiet =
        |row: &&Value| number(row, "accepted") == 0 && number(row, "before") >= QUIET_MIN;
    let quiet = rows
        .iter()
        .filter(is_quiet)
        .max_by_key(|row| number(row, "before"));
    let mut finding = lang.fill(
        "chart-clients-finding",
        &[
            ("client", text(first, "client")),
            ("count", &lang.number(number(first, "accepted"))),
        ],
    );
    let change = |row: &Value| number(row, "accepted").abs_diff(number(row, "before"));
    let largest = rows.iter().filter(|row| change(row) >= QUIET_MIN);
    let largest = largest.max_by_key(|row| change(row));
    if let Some(row) = quiet.or(largest) {
        let key = match quiet {
            Some(_) => "chart-clients-quiet",
            None => "chart-clients-change",
        };
        let values = [
            ("client", text(row, "client")),
            ("now", &*lang.number(number(row, "accepted"))),
            ("when", &*ground.when()),
            ("count", &*lang.number(number(row, "before"))),
        ];
        finding = format!("{finding} {}", lang.fill(key, &values));
    }
    let bar = |row: &Value| {
        let (client, accepted) = (text(row, "client"), number(row, "accepted"));
        let before = number(row, "before");
        Bar {
            name: client.to_owned(),
            words: lang.fill(
                "chart-clients-words",
                &[
                    ("count", &lang.number(accepted)),
                    ("when", &ground.when()),
                    ("before", &lang.number(before)),
                ],
            ),
            address: ground.trace(&format!("client:{client}")),
            value: accepted,
            second: 0,
        }
    };
    // Who was only refused is told of below.
    let is_sender = |row: &&Value| number(row, "accepted") + number(row, "before") > 0;
    let bars: Vec<_> = rows.iter().filter(is_sender).map(bar).collect();
    let table = rows.iter().map(|row| {
        let mut cells = vec![text(row, "client").to_owned()];
        cells.extend(["accepted", "before", "refused"].map(|key| number(row, key).to_string()));
        cells
    });
    Chart {
        svg: charts::bars("clients", &finding, &bars),
        head: ground.head(&[
            "column-client",
            "status-accepted",
            "chart-before",
            "status-refused",
        ]),
        rows: table.collect(),
        ..ground.chart("clients", "chart-clients", finding)
    }
}

/// Bars by one name and one count.
fn counted(
    ground: &Ground<'_>,
    rows: &[Value],
    key: &str,
    words: impl Fn(&str) -> String,
    q: impl Fn(&str) -> String,
) -> Vec<Bar> {
    let bar = |row: &Value| {
        let name = text(row, key);
        let count = number(row, "count");
        Bar {
            name: words(name),
            words: ground.lang.number(count),
            address: ground.trace(&q(name)),
            value: count,
            second: 0,
        }
    };
    rows.iter().map(bar).collect()
}

fn table_of(rows: &[Value], key: &str, numbers: &[&str]) -> Vec<Vec<String>> {
    let row = |row: &Value| {
        let mut cells = vec![clean(text(row, key)).into_owned()];
        cells.extend(numbers.iter().map(|key| number(row, key).to_string()));
        cells
    };
    rows.iter().map(row).collect()
}

fn refusals(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("refusals"));
    let all: u64 = rows.iter().map(|row| number(row, "count")).sum();
    let Some(first) = rows.first() else {
        return Chart {
            finding: lang.t("chart-refusals-none"),
            ..ground.empty("refusals", "chart-refusals")
        };
    };
    let count = number(first, "count");
    let values = [
        ("token", text(first, "token")),
        ("count", &*lang.number(count)),
        ("all", &*lang.number(all)),
    ];
    let finding = lang.fill("chart-refusals-finding", &values);
    let q = |token: &str| format!("token:{token}");
    let bars = counted(ground, rows, "token", ToOwned::to_owned, q);
    let meant = rows.iter().take(charts::BARS_MAX).filter_map(|row| {
        let token = text(row, "token");
        Some((token.to_owned(), meaning(token, lang.0)?))
    });
    Chart {
        svg: charts::bars("refusals", &finding, &bars),
        meanings: meant.collect(),
        head: ground.head(&["column-token", "column-count"]),
        rows: table_of(rows, "token", &["count"]),
        ..ground.chart("refusals", "chart-refusals", finding)
    }
}

fn security(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("tls"));
    let all: u64 = rows.iter().map(|row| number(row, "count")).sum();
    if all == 0 {
        return ground.empty("security", "chart-security");
    }
    let of = |wanted: &[&str]| {
        let rows = rows
            .iter()
            .filter(|row| wanted.contains(&text(row, "version")));
        rows.map(|row| number(row, "count")).sum::<u64>()
    };
    let (clear, old) = (of(&["none"]), of(&TOO_OLD));
    let finding = match (clear, old) {
        (0, 0) => lang.t("chart-security-good"),
        (clear, old) => lang.fill(
            "chart-security-finding",
            &[
                ("clear", &share(clear, all).to_string()),
                ("old", &share(old, all).to_string()),
            ],
        ),
    };
    let words = |version: &str| match version {
        "none" => lang.t("chart-security-clear"),
        version => format!("TLS {version}"),
    };
    let q = |version: &str| format!("tls:{version} status:accepted");
    let bars = counted(ground, rows, "version", words, q);
    Chart {
        svg: charts::bars("security", &finding, &bars),
        head: ground.head(&["fact-tls", "column-count"]),
        rows: table_of(rows, "version", &["count"]),
        more: Some((
            lang.t("chart-security-devices"),
            "/devices?filter=weak-tls".to_owned(),
        )),
        ..ground.chart("security", "chart-security", finding)
    }
}

/// Bars of what was tried, with what failed of it.
fn tried(ground: &Ground<'_>, rows: &[Value], key: &str, token: &str) -> Vec<Bar> {
    let bar = |row: &Value| {
        let name = text(row, key);
        let (delivered, failed) = (number(row, "delivered"), number(row, "failed"));
        let q = format!(
            "{token}:\"{}\"",
            name.replace('\\', "\\\\").replace('"', "\\\"")
        );
        Bar {
            name: clean(name).into_owned(),
            words: ground.lang.fill(
                "chart-tried-words",
                &[
                    ("delivered", &ground.lang.number(delivered)),
                    ("failed", &ground.lang.number(failed)),
                ],
            ),
            address: ground.trace(&q),
            value: delivered + failed,
            second: failed,
        }
    };
    rows.iter().map(bar).collect()
}

const TRIED: [&str; 3] = ["delivered", "deferred", "failed"];

fn legend_of_tried(
    lang: Lang,
    delivered: &'static str,
    failed: &'static str,
) -> Vec<(&'static str, String)> {
    vec![
        (delivered, lang.t("status-delivered")),
        (failed, lang.t("status-failed")),
    ]
}

/// How much of the providers' limits is used now.
fn gauges(ground: &Ground<'_>) -> Vec<(String, Vec<Gauge>)> {
    let of = |standing: &Value| {
        let mut gauges = standing::gauges(ground.lang, standing);
        gauges.retain(|gauge| gauge.percent.is_some());
        (clean(text(standing, "name")).into_owned(), gauges)
    };
    let all = ground.standings.iter().map(of);
    all.filter(|(_, gauges)| !gauges.is_empty()).collect()
}

fn routes_of(ground: &Ground<'_>) -> Chart {
    let (lang, rows) = (ground.lang, ground.rows("routes"));
    let ended = |row: &Value| number(row, "delivered") + number(row, "failed");
    let Some(first) = rows.iter().max_by_key(|row| ended(row)) else {
        return Chart {
            gauges: gauges(ground),
            ..ground.empty("routes", "chart-routes")
        };
    };
    let success = share(number(first, "delivered"), ended(first));
    let values = [
        ("route", text(first, "outbound_connector")),
        ("share", &*success.to_string()),
        ("count", &*lang.number(ended(first))),
    ];
    let finding = match ended(first) {
        0 => lang.t("chart-routes-none"),
        _ => lang.fill("chart-routes-finding", &values),
    };
    let bars = tried(ground, rows, "outbound_connector", "connector");
    Chart {
        svg: charts::bars("routes", &finding, &bars),
        legend: legend_of_tried(lang, "url(#routes-1)", "url(#routes-3)"),
        head: ground.head(&[
            "fact-outbound",
            "status-delivered",
            "status-deferred",
            "status-failed",
        ]),
        rows: table_of(rows, "outbound_connector", &TRIED),
        gauges: gauges(ground),
        ..ground.chart("routes", "chart-routes", finding)
    }
}

/// Those with the highest share of failures first, among those that had mail.
fn destinations(ground: &Ground<'_>) -> Chart {
    let (lang, mut rows) = (ground.lang, ground.rows("destinations").to_vec());
    if rows.is_empty() {
        return ground.empty("destinations", "chart-destinations");
    }
    let failed_share = |row: &Value| {
        let (failed, delivered) = (number(row, "failed"), number(row, "delivered"));
        (share(failed, failed + delivered), failed + delivered)
    };
    rows.sort_by_key(|row| std::cmp::Reverse(failed_share(row)));
    let (worst, _) = failed_share(&rows[0]);
    let finding = match worst {
        0 => lang.t("chart-destinations-good"),
        worst => lang.fill(
            "chart-destinations-finding",
            &[
                ("domain", text(&rows[0], "domain")),
                ("share", &worst.to_string()),
            ],
        ),
    };
    let bars = tried(ground, &rows, "domain", "to");
    Chart {
        svg: charts::bars("destinations", &finding, &bars),
        legend: legend_of_tried(lang, "url(#destinations-1)", "url(#destinations-3)"),
        head: ground.head(&[
            "column-domain",
            "status-delivered",
            "status-deferred",
            "status-failed",
        ]),
        rows: table_of(&rows, "domain", &TRIED),
        ..ground.chart("destinations", "chart-destinations", finding)
    }
}
