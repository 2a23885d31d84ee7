//! The card as text, for a terminal or a message: no line is longer than a sheet is wide.

use super::Card;

/// Characters of a line.
const WIDTH: usize = 78;

/// The whole card; of its code the address.
pub(crate) fn write(card: &Card) -> String {
    let mut text = format!("{}\n", card.title);
    for line in [&card.site, &card.edition] {
        if !line.is_empty() {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push('\n');
    let widths = card.rows.iter().map(|(label, _)| label.chars().count());
    let column = widths.max().unwrap_or_default();
    for (label, value) in &card.rows {
        let gap = " ".repeat(column - label.chars().count());
        text.push_str(&format!("  {label}{gap}  {value}\n"));
    }
    text.push('\n');
    for words in [&card.also, &card.leave] {
        text.push_str(&wrapped("", words));
    }
    for [says, means, act] in &card.panel {
        text.push('\n');
        text.push_str(&wrapped("", says));
        text.push_str(&wrapped("  ", &format!("{means} {act}")));
    }
    if let Some(code) = &card.code {
        let words = wrapped("", &card.code_words);
        text.push_str(&format!("\n{words}{}\n", code.address));
    }
    text
}

/// Broken between words only: a no-break space is part of its word.
fn wrapped(indent: &str, words: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let is_full = indent.len() + line.chars().count() + 1 + word.chars().count() > WIDTH;
        if is_full && !line.is_empty() {
            text.push_str(&format!("{indent}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.is_empty() {
        true => text,
        false => text + &format!("{indent}{line}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_nothing_is_lost() {
        let words = "Notez les lettres et chiffres entre parenthèses\u{202f}: c’est la référence. "
            .repeat(4);
        let text = wrapped("  ", &words);
        assert!(text.lines().count() > 3, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        let together: Vec<_> = text.split_whitespace().collect();
        assert_eq!(together, words.split_whitespace().collect::<Vec<_>>());
    }
}
