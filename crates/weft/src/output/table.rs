//! Columns that line up.

use super::Style;

/// Rows under headings.
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. A heading that begins with `>` has its column set to the right.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { headings: headings.map(String::from).to_vec(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.headings.len(), "a cell for each heading");
        self.rows.push(cells.to_vec());
    }

    /// The table as lines.
    pub fn render(&self, style: &Style) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.headings[column].trim_start_matches('>').chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.headings.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let (width, cell) = (widths[column], cell.trim_start_matches('>'));
                if self.headings[column].starts_with('>') {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        };
        let head = style.bold(&line(&self.headings));
        std::iter::once(head).chain(self.rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
    }
}
