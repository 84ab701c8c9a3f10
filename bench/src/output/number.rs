//! Numbers as they are told: three digits that mean something, and no more.

/// With a comma between each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rounded to three digits, or to the next whole number if that has more.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "–".to_owned()
    } else if size >= 100.0 {
        let sign = if number < 0.0 { "−" } else { "" };
        format!("{sign}{}", grouped(size.round() as u64))
    } else if size >= 10.0 {
        format!("{number:.1}")
    } else if size >= 0.095 || size == 0.0 {
        format!("{number:.2}")
    } else {
        format!("{number:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_with_three_digits() {
        let told = [0.0, 0.01234, 1.234, 12.34, 123.4, 1_234_567.8, f64::NAN].map(short);
        assert_eq!(told, ["0.00", "0.0123", "1.23", "12.3", "123", "1,234,568", "–"]);
    }
}
