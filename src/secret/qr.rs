//! Texts as QR codes: for pages, for mails and for terminals.
//!
//! The pictures hold what the text holds, and are wiped like it.

use fast_qr::{ECL, QRBuilder, QRCode};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use zeroize::Zeroizing;

/// A QR code (ISO/IEC 18004) with its quiet zone.
pub struct Qr(Box<QRCode>);

/// A text that no QR code holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {} bytes do not fit into a picture", Qr::MAX_TEXT)]
pub struct QrFault;

/// Modules that must stay light on each side.
const QUIET: usize = 4;

/// A module is as many pixels wide and high in the PNG: one byte of a row.
const PIXELS: usize = 8;

impl Qr {
    /// Bytes that a text may have.
    pub const MAX_TEXT: usize = 1024;

    /// Draws a text.
    pub fn of(text: &str) -> Result<Self, QrFault> {
        if text.len() > Self::MAX_TEXT {
            return Err(QrFault);
        }
        match QRBuilder::new(text).ecl(ECL::M).build() {
            Ok(code) => Ok(Self(Box::new(code))),
            Err(_) => Err(QrFault),
        }
    }

    /// The picture as SVG without size, for the page to give it one.
    pub fn svg(&self) -> Zeroizing<String> {
        let side = self.side();
        let mut svg = Zeroizing::new(String::with_capacity(256 + side * side * 8));
        // Writing to a text cannot fail, here and below.
        let _ = write!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d=""##
        );
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            if self.dark(y, x) {
                let _ = write!(svg, "M{x} {y}h1v1h-1z");
            }
        }
        svg.push_str(r##"" fill="#000"/></svg>"##);
        svg
    }

    /// The picture as PNG (ISO/IEC 15948), one bit a pixel. Fails only if the
    /// compressor does.
    pub fn png(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        let side = self.side();
        let mut rows = ZlibEncoder::new(Vec::new(), Compression::default());
        for y in 0..side {
            // Filter 0, then eight light or dark pixels a byte.
            let row = std::iter::once(0).chain((0..side).map(|x| if self.dark(y, x) { 0 } else { 0xff }));
            let row = Zeroizing::new(row.collect::<Vec<u8>>());
            for _ in 0..PIXELS {
                rows.write_all(&row)?;
            }
        }
        let rows = Zeroizing::new(rows.finish()?);
        let [.., a, b, c, d] = ((side * PIXELS) as u64).to_be_bytes();
        // Width, height, one bit, grey, and the only ways to compress, filter and order there are or need be.
        let header = [a, b, c, d, a, b, c, d, 1, 0, 0, 0, 0];
        let mut png = Zeroizing::new(Vec::with_capacity(rows.len() + 64));
        png.extend_from_slice(b"\x89PNG\r\n\x1a\n");
        for (kind, data) in [(b"IHDR", header.as_slice()), (b"IDAT", &rows), (b"IEND", &[])] {
            push_chunk(&mut png, *kind, data);
        }
        Ok(png)
    }

    /// The picture for a terminal with colours: black on white whatever the
    /// terminal's own, two modules a character.
    pub fn ansi(&self) -> Zeroizing<String> {
        self.lines("\x1b[30;107m", "\x1b[0m\n", |dark| dark)
    }

    /// The picture for a dark terminal without colours: light modules are
    /// drawn, two a character.
    pub fn text(&self) -> Zeroizing<String> {
        self.lines("", "\n", |dark| !dark)
    }

    fn lines(&self, before: &str, after: &str, drawn: impl Fn(bool) -> bool) -> Zeroizing<String> {
        let side = self.side();
        let mut text = Zeroizing::new(String::with_capacity((side * 3 + 16) * side.div_ceil(2)));
        for y in (0..side).step_by(2) {
            text.push_str(before);
            for x in 0..side {
                text.push(match (drawn(self.dark(y, x)), drawn(self.dark(y + 1, x))) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            text.push_str(after);
        }
        text
    }

    /// Modules on each side, with the quiet zone.
    fn side(&self) -> usize {
        self.0.size + 2 * QUIET
    }

    /// Whether a module is dark; all around the code are light.
    fn dark(&self, y: usize, x: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < self.0.size);
        let (Some(y), Some(x)) = (inside(y), inside(x)) else { return false };
        self.0.data.get(y * self.0.size + x).is_some_and(|module| module.value())
    }
}

impl Drop for Qr {
    fn drop(&mut self) {
        for module in &mut self.0.data {
            module.set(false);
        }
    }
}

impl fmt::Debug for Qr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Qr([redacted])")
    }
}

/// Length, kind, data, and CRC-32 over kind and data.
fn push_chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let [.., a, b, c, d] = (data.len() as u64).to_be_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&kind);
    crc.update(data);
    png.extend_from_slice(&[a, b, c, d]);
    png.extend_from_slice(&kind);
    png.extend_from_slice(data);
    png.extend_from_slice(&crc.finalize().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::ZlibDecoder;
    use std::io::Read;

    const TEXT: &str = "otpauth://totp/Doorward:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    type Modules = Vec<Vec<bool>>;

    fn modules(qr: &Qr) -> Modules {
        (0..qr.side()).map(|y| (0..qr.side()).map(|x| qr.dark(y, x)).collect()).collect()
    }

    #[test]
    fn the_code_has_its_three_corners_and_light_around() {
        let modules = modules(&Qr::of(TEXT).unwrap());
        let side = modules.len();
        assert_eq!((side - 2 * QUIET) % 4, 1);
        let finder = [0b111_1111, 0b100_0001, 0b101_1101, 0b101_1101, 0b101_1101, 0b100_0001, 0b111_1111];
        for (top, left) in [(QUIET, QUIET), (QUIET, side - QUIET - 7), (side - QUIET - 7, QUIET)] {
            for (y, row) in finder.iter().enumerate() {
                let seen =
                    modules[top + y][left..left + 7].iter().fold(0, |row, dark| row << 1 | i32::from(*dark));
                assert_eq!(seen, *row, "{top} {left} {y}");
            }
        }
        let quiet = |at: usize| at < QUIET || at >= side - QUIET;
        for (y, row) in modules.iter().enumerate() {
            assert!(row.iter().enumerate().all(|(x, dark)| !(*dark && (quiet(x) || quiet(y)))));
        }
    }

    #[test]
    fn the_png_shows_the_modules() {
        let qr = Qr::of(TEXT).unwrap();
        let png = qr.png().unwrap();
        let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let (body, crc) = (&rest[4..8 + length], &rest[8 + length..12 + length]);
            assert_eq!(crc32fast::hash(body).to_be_bytes(), crc);
            chunks.push((&body[..4], &body[4..]));
            rest = &rest[12 + length..];
        }
        let kinds: Vec<_> = chunks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
        let width = u32::from_be_bytes(chunks[0].1[..4].try_into().unwrap()) as usize;
        assert_eq!(width, qr.side() * 8);
        let mut rows = Vec::new();
        ZlibDecoder::new(chunks[1].1).read_to_end(&mut rows).unwrap();
        let rows: Vec<&[u8]> = rows.chunks(1 + width / 8).collect();
        assert_eq!(rows.len(), width);
        for (y, row) in rows.iter().enumerate() {
            let pixels = |x: usize| row[1 + x / 8] & (0x80 >> (x % 8)) == 0;
            assert_eq!(row[0], 0);
            assert!((0..width).all(|x| pixels(x) == qr.dark(y / 8, x / 8)), "{y}");
        }
    }

    #[test]
    fn the_svg_shows_the_modules() {
        let qr = Qr::of(TEXT).unwrap();
        let svg = qr.svg();
        let (_, path) = svg.split_once("d=\"").unwrap();
        let mut seen = vec![vec![false; qr.side()]; qr.side()];
        for square in path.split_once('"').unwrap().0.split_terminator('z') {
            let at = square.strip_prefix('M').unwrap().strip_suffix("h1v1h-1").unwrap();
            let (x, y) = at.split_once(' ').unwrap();
            seen[y.parse::<usize>().unwrap()][x.parse::<usize>().unwrap()] = true;
        }
        assert_eq!(seen, modules(&qr));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>") && !svg.contains("GEZD"));
    }

    #[test]
    fn terminals_show_the_modules() {
        let qr = Qr::of(TEXT).unwrap();
        let halves = |line: &str| -> [Vec<bool>; 2] {
            [
                line.chars().map(|c| "█▀".contains(c)).collect(),
                line.chars().map(|c| "█▄".contains(c)).collect(),
            ]
        };
        let mut expected = modules(&qr);
        expected.push(vec![false; qr.side()]);
        let ansi = qr.ansi();
        let lines = ansi
            .lines()
            .map(|line| line.strip_prefix("\x1b[30;107m").unwrap().strip_suffix("\x1b[0m").unwrap());
        assert_eq!(lines.flat_map(halves).collect::<Modules>(), expected);
        let lit = qr.text().lines().flat_map(halves).collect::<Modules>();
        let inverted = |row: Vec<bool>| row.into_iter().map(|dark| !dark).collect();
        assert_eq!(lit.into_iter().map(inverted).collect::<Modules>(), expected);
    }

    #[test]
    fn texts_are_bounded_and_the_picture_cannot_be_printed() {
        assert!(Qr::of(&"x".repeat(Qr::MAX_TEXT)).is_ok());
        assert_eq!(Qr::of(&"x".repeat(Qr::MAX_TEXT + 1)).unwrap_err(), QrFault);
        assert_eq!(format!("{:?}", Qr::of(TEXT).unwrap()), "Qr([redacted])");
    }
}
