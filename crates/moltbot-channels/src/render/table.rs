//! Tables as lines of text whose columns stand below one another.

/// The lines of a table, without a rule below the head.
pub(super) fn lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width_of).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths);
            let padded: Vec<String> = cells
                .map(|(cell, column)| format!("{cell}{}", " ".repeat(column - width(cell))))
                .collect();
            padded.join(" | ").trim_end().to_owned()
        })
        .collect()
}

/// The columns that text takes in a fixed-width font: East Asian characters and pictures take two.
fn width(text: &str) -> usize {
    let wide = |character: char| {
        matches!(u32::from(character),
            0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
            | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
    };
    text.chars()
        .map(|character| 1 + usize::from(wide(character)))
        .sum()
}
