//! What a comparison measured, against what it may be, and how it is printed.

use std::fmt;

/// A bound on one figure of the differences.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    Max(f64),
    Mean(f64),
    P99(f64),
}

/// Differences of one kind, pooled over whatever they were measured on.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    values: Vec<f64>,
}

impl Differences {
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    pub fn extend(&mut self, other: &Self) {
        self.values.extend_from_slice(&other.values);
    }

    /// Element by element; lengths that differ count as an infinite difference.
    pub fn between(a: &[f32], b: &[f32]) -> Self {
        if a.len() != b.len() {
            return Self {
                values: vec![f64::INFINITY],
            };
        }
        let values = a
            .iter()
            .zip(b)
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        Self {
            values: values.collect(),
        }
    }

    pub fn max(&self) -> f64 {
        // NaN is the worst difference there is; f64::max would drop it.
        self.values.iter().fold(0.0, |m, &v| {
            if v.is_nan() || m.is_nan() {
                f64::NAN
            } else {
                m.max(v)
            }
        })
    }

    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    /// 99th percentile, linear between ranks.
    pub fn p99(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let at = 0.99 * last as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        low + (high - low) * at.fract()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

enum Verdict {
    Pass,
    Fail,
    /// Shown, not judged.
    Info,
    Skip,
}

struct Row {
    name: String,
    text: String,
    verdict: Verdict,
}

/// All rows of a run.
#[derive(Default)]
pub struct Report {
    failures: Vec<String>,
    judged: usize,
    skipped: usize,
}

/// Rows that belong together, printed as one table.
pub struct Table {
    title: String,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
        }
    }

    /// Judges `differences` by every bound. Nothing measured is a failure.
    pub fn judge(
        &mut self,
        name: impl Into<String>,
        differences: &Differences,
        unit: &str,
        bounds: &[Bound],
    ) {
        let ok = !differences.is_empty()
            && bounds.iter().all(|bound| match *bound {
                Bound::Max(limit) => differences.max() <= limit,
                Bound::Mean(limit) => differences.mean() <= limit,
                Bound::P99(limit) => differences.p99() <= limit,
            });
        let limits: Vec<String> = bounds.iter().map(Bound::to_string).collect();
        let text = format!(
            "{} {unit:<4}  allowed {}",
            figures(differences),
            limits.join(", ")
        );
        self.push(name, text, if ok { Verdict::Pass } else { Verdict::Fail });
    }

    /// A fact that holds or not.
    pub fn check(&mut self, name: impl Into<String>, holds: bool, text: impl Into<String>) {
        self.push(
            name,
            text,
            if holds { Verdict::Pass } else { Verdict::Fail },
        );
    }

    /// Shown for the reader, not judged.
    pub fn show(&mut self, name: impl Into<String>, differences: &Differences, unit: &str) {
        if !differences.is_empty() {
            self.push(
                name,
                format!("{} {unit}", figures(differences)),
                Verdict::Info,
            );
        }
    }

    pub fn skip(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.push(name, why, Verdict::Skip);
    }

    fn push(&mut self, name: impl Into<String>, text: impl Into<String>, verdict: Verdict) {
        self.rows.push(Row {
            name: name.into(),
            text: text.into(),
            verdict,
        });
    }
}

fn figures(d: &Differences) -> String {
    format!(
        "max {:>10.3e}  mean {:>10.3e}  p99 {:>10.3e}",
        d.max(),
        d.mean(),
        d.p99()
    )
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max(v) => write!(f, "max {v:e}"),
            Self::Mean(v) => write!(f, "mean {v}"),
            Self::P99(v) => write!(f, "p99 {v}"),
        }
    }
}

impl Report {
    /// Prints the table and keeps its verdicts.
    pub fn add(&mut self, table: Table) {
        println!("\n{}", table.title);
        let width = table
            .rows
            .iter()
            .map(|r| r.name.chars().count())
            .max()
            .unwrap_or(0);
        for Row {
            name,
            text,
            verdict,
        } in &table.rows
        {
            let mark = match verdict {
                Verdict::Pass => "ok  ",
                Verdict::Fail => "FAIL",
                Verdict::Info => "    ",
                Verdict::Skip => "skip",
            };
            println!("  {mark} {name:<width$}  {text}");
            match verdict {
                Verdict::Pass => self.judged += 1,
                Verdict::Fail => {
                    self.judged += 1;
                    self.failures
                        .push(format!("{}: {name}: {text}", table.title));
                }
                Verdict::Info => {}
                Verdict::Skip => self.skipped += 1,
            }
        }
    }

    pub fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("\n  FAIL {what}");
        self.judged += 1;
        self.failures.push(what);
    }

    /// Prints the end of the story; true when everything that was judged passed.
    pub fn finish(&self) -> bool {
        println!(
            "\n{} judged, {} failed, {} skipped",
            self.judged,
            self.failures.len(),
            self.skipped
        );
        for failure in &self.failures {
            println!("  FAIL {failure}");
        }
        if self.judged == 0 {
            println!("  FAIL nothing was compared");
        }
        self.failures.is_empty() && self.judged > 0
    }
}
