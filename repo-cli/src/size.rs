//! Sizes as arguments: a whole number, and perhaps one of restic's letters for a power of 1024.

/// What is wrong with a size, in a few words.
pub type Wrong = String;

/// Reads a number of bytes, with a binary unit if one follows: b, k, M, G or T, small or large.
pub fn parse(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&text[..at], unit),
        _ => (text, 'b'),
    };
    let shift = match unit.to_ascii_lowercase() {
        'b' => 0,
        'k' => 10,
        'm' => 20,
        'g' => 30,
        't' => 40,
        _ => return Err(format!("`{unit}` is none of the units b, k, M, G and T")),
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected a whole number, as in 512k or 2G".into());
    }
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "more than any file can have".into())
}

/// The same, with one of the units k, M, G and T, as restic takes it where a number alone may mean something else.
pub fn parse_with_unit(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?.to_ascii_lowercase();
    "kmgt".contains(unit).then(|| parse(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_units_of_restic() {
        for (text, bytes) in [
            ("0", 0),
            ("2048", 2048),
            ("7b", 7),
            ("1k", 1024),
            ("10K", 10_240),
            ("20m", 20 << 20),
            ("30G", 30 << 30),
            ("2t", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            let has_unit = text.ends_with(|letter: char| "kKmGt".contains(letter));
            assert_eq!(parse_with_unit(text), has_unit.then_some(bytes), "{text}");
        }
        for wrong in [
            "",
            "k",
            "-1",
            "+1",
            "1.5M",
            "1kB",
            "1 k",
            "1x",
            "1ä",
            "99999999999999999999",
            "99999999T",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
            assert_eq!(parse_with_unit(wrong), None, "{wrong}");
        }
    }
}
