//! A QR code for the terminal.

use fast_qr::{ECL, QRBuilder, QRCode};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Light modules around the code; ISO/IEC 18004 asks for four.
const QUIET: usize = 4;

const WHITE_ON_BLACK: &str = "\x1b[97;40m";
const PLAIN: &str = "\x1b[0m";

/// Draws `text` with half blocks, two rows of modules to a line. Light modules
/// are drawn and dark ones left free, as fits a dark terminal; with `colour` it
/// looks the same on any. `None` if the text is too long for a code.
pub fn draw(text: &str, colour: bool) -> Option<Zeroizing<String>> {
    let code = match QRBuilder::new(text).ecl(ECL::M).build() {
        Ok(code) => code,
        Err(_too_long) => return None,
    };
    let side = code.size + 2 * QUIET;
    let (on, off) = if colour { (WHITE_ON_BLACK, PLAIN) } else { ("", "") };
    let mut drawn = Zeroizing::new(String::with_capacity(side * (side + 16) * 2));
    for row in (0..side).step_by(2) {
        let line: String = (0..side)
            .map(|column| half_blocks(is_light(&code, column, row), is_light(&code, column, row + 1)))
            .collect();
        // Writing to a string cannot fail.
        let _ = writeln!(drawn, "{on}{line}{off}");
    }
    Some(drawn)
}

fn half_blocks(upper_is_light: bool, lower_is_light: bool) -> char {
    match (upper_is_light, lower_is_light) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

/// Whether the module is light; all around the code are.
fn is_light(code: &QRCode, column: usize, row: usize) -> bool {
    let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < code.size);
    let (Some(column), Some(row)) = (inside(column), inside(row)) else { return true };
    !code[row].get(column).is_some_and(|module| module.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str =
        "otpauth://totp/Doorward:o%40acme.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Doorward";

    /// Rows of modules, dark as true, read back from the drawing.
    fn modules(drawn: &str) -> Vec<Vec<bool>> {
        let dark = |letter| match letter {
            '█' => (false, false),
            '▀' => (false, true),
            '▄' => (true, false),
            ' ' => (true, true),
            other => panic!("{other}"),
        };
        drawn
            .lines()
            .flat_map(|line| {
                let (upper, lower): (Vec<bool>, Vec<bool>) = line.chars().map(dark).unzip();
                [upper, lower]
            })
            .collect()
    }

    #[test]
    fn the_drawing_is_the_code_with_light_all_around() {
        let code = QRBuilder::new(URI).ecl(ECL::M).build().unwrap();
        let rows = modules(&draw(URI, false).unwrap());
        let side = code.size + 2 * QUIET;
        assert!(rows.len() == side + side % 2 && rows.iter().all(|row| row.len() == side));
        for (y, row) in rows.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                let inside = |at: usize| (QUIET..QUIET + code.size).contains(&at);
                let expected = inside(x) && inside(y) && code[y - QUIET][x - QUIET].value();
                assert_eq!(*dark, expected, "{x} {y}");
            }
        }
        // The corner that every scanner looks for: a dark ring of seven around three by three.
        let corner: Vec<bool> = rows[QUIET + 3][QUIET..QUIET + 7].to_vec();
        assert_eq!(corner, [true, false, true, true, true, false, true]);
    }

    #[test]
    fn colour_is_ended_on_each_line() {
        let drawn = draw(URI, true).unwrap();
        assert!(drawn.lines().all(|line| line.starts_with(WHITE_ON_BLACK) && line.ends_with(PLAIN)));
    }

    #[test]
    fn what_does_not_fit_is_not_drawn() {
        assert!(draw(&"x".repeat(5000), false).is_none());
    }
}
