//! How diagnostics word things: the user's words cut and made printable, suggestions, lists.

/// LIMIT: characters of the user's words that a message repeats.
pub const EXCERPT_CHARS_MAX: usize = 60;

/// The user's words, short and printable.
pub fn excerpt(words: &str) -> String {
    let mut shown: String = words.chars().take(EXCERPT_CHARS_MAX).flat_map(printable).collect();
    if words.chars().nth(EXCERPT_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// "did you mean `listeners`?", when one of `known` is near to `word`.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    /// Similarity (Jaro-Winkler) from which a suggestion helps more than it confuses.
    const NEAR: f64 = 0.8;
    let word: String = word.chars().take(EXCERPT_CHARS_MAX).flat_map(char::to_lowercase).collect();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, &candidate.to_lowercase()), candidate))
        .filter(|(near, _)| *near >= NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// `a`, `b` or `c`, in backticks.
pub fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn printable(c: char) -> Vec<char> {
    if c.is_control() || c == '`' { c.escape_default().collect() } else { vec![c] }
}
