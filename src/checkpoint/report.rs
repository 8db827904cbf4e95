//! What became of every tensor when a model was loaded: applied, missing, unused, wrong.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::dtype::DType;

/// What a model asks of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    pub name: String,
    pub shape: Vec<u64>,
    /// Real numbers of any precision, or just this type.
    pub dtype: Option<DType>,
}

/// A tensor that is there, but not as the model needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    pub wanted: Wanted,
    pub found_shape: Vec<u64>,
    pub found_dtype: DType,
}

/// A name the model asked for in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub wanted: Wanted,
    /// The unused names that look most like it, best first.
    pub did_you_mean: Vec<String>,
}

/// What a model can do without, and what it knows but does not use; names, or beginnings that
/// end in `*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tolerance {
    pub missing: &'static [&'static str],
    pub unused: &'static [&'static str],
}

/// Everything that happened, by name, in the checkpoint's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// The checkpoint, for the message.
    pub source: String,
    pub applied: Vec<String>,
    pub missing: Vec<Missing>,
    pub mismatched: Vec<Mismatch>,
    pub unused: Vec<String>,
    /// Missing and unused names that the model lists.
    pub tolerated: Vec<String>,
}

/// Collects what a model asks for while it is built.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    applied: Vec<String>,
    missing: Vec<Wanted>,
    mismatched: Vec<Mismatch>,
}

impl Recorder {
    pub fn applied(&mut self, name: &str) {
        self.applied.push(name.to_owned());
    }

    pub fn missing(&mut self, wanted: Wanted) {
        self.missing.push(wanted);
    }

    pub fn mismatched(&mut self, mismatch: Mismatch) {
        self.mismatched.push(mismatch);
    }

    /// The report over a checkpoint that holds `names`.
    pub fn report<'a>(
        self,
        source: &str,
        names: impl IntoIterator<Item = &'a str>,
        tolerance: &Tolerance,
    ) -> LoadReport {
        let seen: BTreeSet<&str> = self
            .applied
            .iter()
            .map(String::as_str)
            .chain(self.mismatched.iter().map(|m| m.wanted.name.as_str()))
            .collect();
        let unused: Vec<&str> = names
            .into_iter()
            .filter(|name| !seen.contains(name))
            .collect();
        let mut report = LoadReport {
            source: source.to_owned(),
            ..LoadReport::default()
        };
        for wanted in self.missing {
            if listed(&wanted.name, tolerance.missing) {
                report.tolerated.push(wanted.name);
                continue;
            }
            let did_you_mean = alike(&wanted.name, &unused);
            report.missing.push(Missing {
                wanted,
                did_you_mean,
            });
        }
        for name in unused {
            if listed(name, tolerance.unused) {
                report.tolerated.push(name.to_owned());
            } else {
                report.unused.push(name.to_owned());
            }
        }
        report.applied = self.applied;
        report.mismatched = self.mismatched;
        report
    }
}

fn listed(name: &str, list: &[&str]) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *entry,
    })
}

impl LoadReport {
    /// Whether the model may be used.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.mismatched.is_empty() && self.unused.is_empty()
    }
}

/// Most names listed under one heading of the message.
const LISTED: usize = 8;

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} tensors applied, {} missing, {} unused, {} of another shape or type",
            self.source,
            self.applied.len(),
            self.missing.len(),
            self.unused.len(),
            self.mismatched.len()
        )?;
        section(f, "missing", &self.missing)?;
        section(f, "of another shape or type", &self.mismatched)?;
        section(f, "unused", &self.unused)
    }
}

fn section<T: fmt::Display>(f: &mut fmt::Formatter<'_>, title: &str, lines: &[T]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    write!(f, "\n  {title}:")?;
    for line in lines.iter().take(LISTED) {
        write!(f, "\n    {line}")?;
    }
    match lines.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => write!(f, "\n    and {more} more"),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.wanted.name, self.wanted.shape)?;
        match self.did_you_mean.as_slice() {
            [] => Ok(()),
            names => write!(f, "; did you mean {}?", names.join(" or ")),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { name, shape, dtype } = &self.wanted;
        let kind = dtype.map_or("real numbers", DType::name);
        write!(
            f,
            "{name}: expected {kind} {shape:?}, found {} {:?}",
            self.found_dtype, self.found_shape
        )
    }
}

/// Most suggestions for one name.
const SUGGESTIONS: usize = 2;
/// Names compared in all; beyond, a foreign checkpoint would cost seconds.
const COMPARED: usize = 4096;

/// The names of `pool` that look like `name`: same last part, few edits in the rest.
fn alike(name: &str, pool: &[&str]) -> Vec<String> {
    let mut scored: Vec<(usize, &str)> = pool
        .iter()
        .take(COMPARED)
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| distance * 2 <= name.len().max(candidate.len()))
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Edits between two names, part by part between dots; a part left out costs its length.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('.').collect(), b.split('.').collect());
    edits(
        &a,
        &b,
        |part| part.len() + 1,
        |x, y| {
            let (x, y): (Vec<char>, Vec<char>) = (x.chars().collect(), y.chars().collect());
            edits(&x, &y, |_| 1, |p, q| usize::from(p != q))
        },
    )
}

/// Levenshtein's distance with a cost for leaving out and one for changing.
fn edits<T>(
    a: &[T],
    b: &[T],
    gap: impl Fn(&T) -> usize,
    change: impl Fn(&T, &T) -> usize,
) -> usize {
    let mut row: Vec<usize> = vec![0];
    for y in b {
        row.push(row[row.len() - 1] + gap(y));
    }
    for x in a {
        let mut above = row[0];
        row[0] += gap(x);
        for (j, y) in b.iter().enumerate() {
            let best = (above + change(x, y))
                .min(row[j] + gap(y))
                .min(row[j + 1] + gap(x));
            above = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str) -> Wanted {
        Wanted {
            name: name.into(),
            shape: vec![2, 3],
            dtype: None,
        }
    }

    #[test]
    fn every_name_ends_under_one_heading() {
        let mut recorder = Recorder::default();
        recorder.applied("a.weight");
        recorder.missing(wanted("backbone.blocks.0.mlp.fc1.weight"));
        recorder.missing(wanted("mean"));
        recorder.mismatched(Mismatch {
            wanted: wanted("b.weight"),
            found_shape: vec![3, 2],
            found_dtype: DType::F32,
        });
        let tolerance = Tolerance {
            missing: &["mean"],
            unused: &["discriminator.*"],
        };
        let names = [
            "a.weight",
            "b.weight",
            "backbone.layers.0.mlp.fc1.weight",
            "backbone.blocks.0.mlp.fc1.bias",
            "discriminator.x",
        ];
        let report = recorder.report("m.ckpt", names, &tolerance);
        assert!(!report.is_complete());
        assert_eq!(report.applied, ["a.weight"]);
        assert_eq!(report.tolerated, ["mean", "discriminator.x"]);
        assert_eq!(report.unused.len(), 2);
        let text = report.to_string();
        for part in [
            "m.ckpt: 1 tensors applied, 1 missing, 2 unused, 1 of another shape",
            "backbone.blocks.0.mlp.fc1.weight [2, 3]; did you mean",
            "backbone.layers.0.mlp.fc1.weight",
            "b.weight: expected real numbers [2, 3], found float32 [3, 2]",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_model_that_got_all_is_complete() {
        let mut recorder = Recorder::default();
        recorder.applied("a");
        let report = recorder.report("m", ["a"], &Tolerance::default());
        assert!(report.is_complete());
    }

    #[test]
    fn distances_are_counted_part_by_part() {
        assert_eq!(distance("a.b.c", "a.b.c"), 0);
        assert_eq!(distance("a.bx.c", "a.by.c"), 1);
        assert_eq!(distance("module.a.b", "a.b"), 7);
    }
}
