//! Rows of fields: in columns for people, with tabs for programs.

use crossterm::style::Stylize as _;

use super::server::plain;
use crate::out;

/// Writes rows; answers whether there may still be a reader.
pub(crate) fn write(head: &[&str], rows: &[Vec<String>], with_head: bool) -> bool {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|field| plain(field)).collect()).collect();
    if !out::is_terminal() {
        return rows.iter().all(|row| out::line_read(&row.join("\t")));
    }
    let widths = widths(head, &rows);
    if with_head {
        let head: Vec<String> = head.iter().map(ToString::to_string).collect();
        let line = aligned(&head, &widths);
        let line = if out::has_colour() { line.bold().to_string() } else { line };
        if !out::line_read(&line) {
            return false;
        }
    }
    rows.iter().all(|row| out::line_read(&aligned(row, &widths)))
}

fn widths(head: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let length = |text: &str| text.chars().count();
    let widest = |(index, name): (usize, &&str)| {
        let fields = rows.iter().filter_map(|row| row.get(index));
        fields.map(|field| length(field)).max().unwrap_or(0).max(length(name))
    };
    head.iter().enumerate().map(widest).collect()
}

/// The fields of a row below each other; nothing is put behind the last one.
fn aligned(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (field, width) in row.iter().zip(widths) {
        line.push_str(field);
        let missing = width.saturating_sub(field.chars().count());
        line.extend(std::iter::repeat_n(' ', missing + 2));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_below_each_other() {
        let row = |fields: [&str; 3]| fields.map(String::from).to_vec();
        let rows = [row(["a", "münchen", "1"]), row(["long name", "", "22"])];
        let widths = widths(&["NAME", "PLACE", "N"], &rows);
        assert_eq!(widths, [9, 7, 2]);
        assert_eq!(aligned(&rows[0], &widths), "a          münchen  1");
        assert_eq!(aligned(&rows[1], &widths), "long name           22");
    }
}
