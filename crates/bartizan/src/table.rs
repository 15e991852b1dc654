//! Plain text tables for terminals.

use crate::output;

/// LIMIT: characters of one cell; a longer one is cut with `…`.
const CELL_CHARS_MAX: usize = 80;

/// Rows under headings; numbers flush right.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new<S: AsRef<str>>(headings: &[S]) -> Self {
        Self { headings: headings.iter().map(|heading| heading.as_ref().to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }

    /// Prints it on standard output.
    pub(crate) fn print(&self) {
        output::print(&self.render());
    }

    fn render(&self) -> String {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).chain(self.headings.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&self.headings).chain(&self.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| {
                let is_number = !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                if is_number { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell without control characters (a path may hold escape sequences for the terminal), cut to its limit.
fn visible(cell: &str) -> String {
    let mut shown: String =
        cell.chars().take(CELL_CHARS_MAX).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if cell.chars().nth(CELL_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// `1 policy`, `2 policies`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let mut table = Table::new(&["name", "n"]);
        table.push(["a".to_owned(), "5".to_owned()]);
        table.push(["longer".to_owned(), "1234".to_owned()]);
        assert_eq!(table.render(), "name    n\na          5\nlonger  1234\n");
    }

    #[test]
    fn a_path_cannot_speak_to_the_terminal() {
        assert_eq!(visible("/a\u{1b}[2J"), "/a\u{fffd}[2J");
        assert_eq!(visible(&"x".repeat(200)).chars().count(), CELL_CHARS_MAX + 1);
    }
}
