//! Numbers, ids and bytes as JSON writes them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A number of JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Without a fraction.
    Whole(i128),
    /// With one, or too large for any integer.
    Broken(f64),
}

const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);

impl Number {
    /// What a floating-point number is.
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^65")]
    pub fn of(value: f64) -> Self {
        let whole = value.fract() == 0.0 && value.abs() < 3.7e19;
        // A zero below zero is no integer's.
        let whole = whole && (value != 0.0 || value.is_sign_positive());
        if whole { Self::Whole(value as i128) } else { Self::Broken(value) }
    }

    /// A number that was written as text; `None` for other text, also for what JSON would not take as a number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let simple = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
        if !simple || !digits.starts_with(|letter: char| letter.is_ascii_digit()) {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let Ok(value) = text.parse::<f64>() else { return None };
        value.is_finite().then(|| Self::of(value))
    }

    /// The nearest floating-point number.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is meant")]
    pub fn double(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Broken(value) => value,
        }
    }

    /// The integer, if it is one and fits; a zero below zero is a zero.
    pub fn integer<T: TryFrom<i128>>(self) -> Option<T> {
        let whole = match self {
            Self::Whole(value) => value,
            Self::Broken(0.0) => 0,
            Self::Broken(_) => return None,
        };
        let Ok(fit) = T::try_from(whole) else { return None };
        Some(fit)
    }
}

/// A double that was written as text.
pub fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text => Number::parse(text).map(Number::double),
    }
}

/// Bytes in base64, of either alphabet, padded or not.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let Ok(bytes) = engine.decode(text) else { return None };
    Some(bytes)
}

/// An id of `length` bytes in hexadecimal, in either case; also no id at all.
pub fn id(text: &str, length: usize) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.is_empty() && digits.len() != 2 * length {
        return None;
    }
    let (pairs, _) = digits.as_chunks::<2>();
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}
