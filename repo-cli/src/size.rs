//! Sizes as arguments: a whole number, and perhaps a unit, which stands for a power of 1024 however it is spelt.

/// What is wrong with a size, in a few words.
pub type Wrong = String;

/// Reads a number of bytes, with a unit if one follows: b, or one of k, M, G and T as restic has them, also with B or iB behind,
/// small or large.
pub fn parse(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = split(text);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("expected a whole number, as in 512k, 2G or 2GiB".into());
    }
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => {
            return Err(format!(
                "`{unit}` is none of the units b, k, M, G and T (KiB, MiB, GiB, TiB)"
            ));
        }
    };
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "more than any file can have".into())
}

/// The same, with a unit other than b, as restic takes it where a number alone may mean something else.
pub fn parse_with_unit(text: &str) -> Option<u64> {
    let (_, unit) = split(text);
    let has_unit = !unit.is_empty() && !unit.eq_ignore_ascii_case("b");
    has_unit.then(|| parse(text).ok())?
}

/// A text before the letters at its end, and these.
fn split(text: &str) -> (&str, &str) {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    (number, &text[number.len()..])
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
            ("500GiB", 500 << 30),
            ("1gib", 1 << 30),
            ("2MiB", 2 << 20),
            ("10KiB", 10 << 10),
            ("3TiB", 3 << 40),
            ("500GB", 500 << 30),
            ("1kB", 1 << 10),
            ("1Mb", 1 << 20),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            let has_unit =
                text.contains(|letter: char| "kmgt".contains(letter.to_ascii_lowercase()));
            assert_eq!(parse_with_unit(text), has_unit.then_some(bytes), "{text}");
        }
        for wrong in [
            "",
            "k",
            "-1",
            "+1",
            "1.5M",
            "1 k",
            "1 GiB",
            "1ki",
            "1bb",
            "1ib",
            "GiB",
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
