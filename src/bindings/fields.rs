//! Options out of a JS object, each error naming the option, what it takes and what it got.

use super::value::Value;
use crate::pipeline::config::Precision;
use crate::pipeline::error::{EngineError, INVALID_ARGUMENT};

/// What networks can compute in.
pub const PRECISIONS: &[(&str, Precision)] = &[
    ("auto", Precision::Auto),
    ("fp32", Precision::Fp32),
    ("bf16", Precision::Bf16),
    ("fp16", Precision::Fp16),
];

/// An options object, or nothing in its place.
pub struct Fields {
    /// What the options belong to, e.g. `config` or `config.blazepose`.
    of: &'static str,
    object: Option<Value>,
}

fn wrong(name: &str, expected: &str, got: &str) -> EngineError {
    EngineError::new(
        INVALID_ARGUMENT,
        format!("{name} must be {expected}, but is {got}"),
    )
}

impl Fields {
    /// Names beyond `known` are refused: a misspelt option must not be passed over.
    pub fn new(of: &'static str, value: Value, known: &[&str]) -> Result<Self, EngineError> {
        if value.is_absent() {
            return Ok(Self { of, object: None });
        }
        if !value.is_object() || value.array_length().is_some() {
            return Err(wrong(of, "an object", &value.describe()));
        }
        if let Some(name) = value
            .keys()
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(EngineError::new(
                INVALID_ARGUMENT,
                format!(
                    "{of} has no option {name:?}; there are: {}",
                    known.join(", ")
                ),
            ));
        }
        Ok(Self {
            of,
            object: Some(value),
        })
    }

    pub fn value(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let Some(object) = &self.object else {
            return Ok(None);
        };
        let value = object
            .get(name)
            .map_err(|_| wrong(&self.path(name), "readable", "a getter that throws"))?;
        Ok((!value.is_absent()).then_some(value))
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.of)
    }

    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, EngineError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        let Some(read) = read(&value) else {
            return Err(wrong(&self.path(name), expected, &value.describe()));
        };
        Ok(Some(read))
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, EngineError> {
        self.typed(name, "true or false", Value::boolean)
    }

    pub fn string(&self, name: &str) -> Result<Option<String>, EngineError> {
        self.typed(name, "a string", Value::string)
    }

    /// A whole number from `min` to `max`.
    pub fn whole(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, EngineError> {
        self.typed(
            name,
            &format!("a whole number from {min} to {max}"),
            |value| {
                let number = value.number().filter(|n| n.fract() == 0.0)?;
                // Both bounds are below 2^53, where doubles are exact.
                (min as f64 <= number && number <= max as f64).then_some(number as u64)
            },
        )
    }

    /// A number from `min` to `max`.
    pub fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>, EngineError> {
        self.typed(name, &format!("a number from {min} to {max}"), |value| {
            value.number().filter(|n| (min..=max).contains(n))
        })
    }

    pub fn choice<T: Copy>(
        &self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, EngineError> {
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("'{name}'"))
            .collect();
        self.typed(name, &format!("one of {}", names.join(", ")), |value| {
            let given = value.string()?;
            choices
                .iter()
                .find(|(name, _)| *name == given)
                .map(|(_, choice)| *choice)
        })
    }

    pub fn floats(
        &self,
        name: &str,
        expected: &str,
        fits: impl FnOnce(&[f32]) -> bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        self.typed(name, expected, |value| {
            value.floats().filter(|floats| fits(floats))
        })
    }
}
