//! Plain scalars of YAML as configurations mean them.
//!
//! The rules are PyYAML's (`yaml/resolver.py`, YAML 1.1) with OmegaConf's two changes
//! (`omegaconf/_yaml.py`): an exponent alone makes a float (`1e-5`), dates stay text.

use serde_json::{Number, Value};

/// The value of a plain scalar: null, a boolean, a number, or text.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return true.into();
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return false.into();
        }
        _ => {}
    }
    let starts = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
    if !text.starts_with(starts) {
        return text.into();
    }
    integer(text)
        .or_else(|| float(text))
        .unwrap_or_else(|| text.into())
}

/// An integer: decimal, binary, octal (a leading zero), hexadecimal, base sixty.
pub fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = sign(text);
    let plain: String = digits.chars().filter(|&c| c != '_').collect();
    let magnitude = if let Some(rest) = digits.strip_prefix("0b") {
        radix(rest, 2)?
    } else if let Some(rest) = digits.strip_prefix("0x") {
        radix(rest, 16)?
    } else if digits == "0" {
        0
    } else if let Some(rest) = digits.strip_prefix('0') {
        radix(rest, 8)?
    } else if digits.contains(':') {
        base_sixty(digits)?
    } else {
        if !starts_with_digit(digits) || !all_digits(&plain) {
            return None;
        }
        match plain.parse() {
            Ok(magnitude) => magnitude,
            // Python has integers of any size, JSON readers have not: it is kept as it stands.
            Err(_) => return Some(text.into()),
        }
    };
    let number = if negative {
        0_i128.checked_sub_unsigned(magnitude)?
    } else {
        i128::try_from(magnitude).ok()?
    };
    Some(Number::from_i128(number).map_or_else(|| text.into(), Value::Number))
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Digits of a base, with underscores anywhere among them.
fn radix(digits: &str, base: u32) -> Option<u128> {
    let digits: String = digits.chars().filter(|&c| c != '_').collect();
    let signed = digits.starts_with(['+', '-']);
    if signed {
        None
    } else {
        u128::from_str_radix(&digits, base).ok()
    }
}

/// `1:30` is ninety.
fn base_sixty(digits: &str) -> Option<u128> {
    let mut parts = digits.split(':');
    let first: String = parts.next()?.chars().filter(|&c| c != '_').collect();
    if !first.starts_with(|c: char| ('1'..='9').contains(&c)) {
        return None;
    }
    let mut value = first.parse::<u128>().ok()?;
    for part in parts {
        value = value
            .checked_mul(60)?
            .checked_add(u128::from(sixtieth(part)?))?;
    }
    Some(value)
}

/// One or two digits below sixty.
fn sixtieth(part: &str) -> Option<u8> {
    let digits = all_digits(part) && part.len() <= 2;
    part.parse().ok().filter(|&n| digits && n < 60)
}

/// A float: with a point, with an exponent, in base sixty, infinite, or not a number.
pub fn float(text: &str) -> Option<Value> {
    let (negative, digits) = sign(text);
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some("nan".into());
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(if negative { "-inf" } else { "inf" }.into());
    }
    let magnitude = if digits.contains(':') {
        float_base_sixty(digits)?
    } else {
        decimal(digits, digits.len() == text.len())?
    };
    let value = if negative { -magnitude } else { magnitude };
    match Number::from_f64(value) {
        Some(number) => Some(Value::Number(number)),
        // Too large for a float: Python reads infinity.
        None => Some(if negative { "-inf" } else { "inf" }.into()),
    }
}

/// `12.5`, `12.`, `.5`, `12e3`; a sign before a bare point makes it text.
fn decimal(digits: &str, unsigned: bool) -> Option<f64> {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    if exponent.is_some_and(|exponent| !all_digits(sign(exponent).1)) {
        return None;
    }
    // PyYAML asks for the exponent's sign; OmegaConf does not, but for lines between digits.
    let as_pyyaml = exponent.is_none_or(|exponent| exponent.starts_with(['+', '-']));
    let between = |part: &str| part.split('_').all(all_digits);
    let anywhere = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let fits = match mantissa.split_once('.') {
        Some(("", part)) => unsigned && as_pyyaml && starts_with_digit(part) && anywhere(part),
        Some((whole, part)) => {
            let lines = if as_pyyaml {
                anywhere(whole)
            } else {
                between(whole)
            };
            starts_with_digit(whole) && lines && anywhere(part)
        }
        None => exponent.is_some() && between(mantissa),
    };
    let plain: String = digits.chars().filter(|&c| c != '_').collect();
    if fits { plain.parse().ok() } else { None }
}

/// `1:30.5` is ninety and a half.
fn float_base_sixty(digits: &str) -> Option<f64> {
    let (whole, part) = digits.split_once('.')?;
    let mut parts = whole.split(':');
    let first: String = parts.next()?.chars().filter(|&c| c != '_').collect();
    if !starts_with_digit(&first) {
        return None;
    }
    let mut value = first.parse::<f64>().ok()?;
    for part in parts {
        value = value * 60.0 + f64::from(sixtieth(part)?);
    }
    let part: String = part.chars().filter(|&c| c != '_').collect();
    let rest: f64 = format!("0.{part}").parse().ok()?;
    Some(value + rest)
}
