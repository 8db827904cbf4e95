//! Words that results carry as `&'static str` (names of keypoints, angles and stages, error codes),
//! read back from stored results.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word that lives as long as the process. An alias, since serde takes a field written as a
/// reference for one that borrows from its input.
pub type Word = &'static str;

/// Longer is no name of ours.
const LONGEST: usize = 64;
/// So many different words are kept, however many a hostile file makes up: each for good.
const MOST: usize = 1024;

/// Words known so far, each kept for good.
#[derive(Default)]
struct Words(BTreeSet<Word>);

static KEPT: Mutex<Words> = Mutex::new(Words(BTreeSet::new()));

impl Words {
    /// The same word, kept; `None` where it cannot be one of ours.
    fn keep(&mut self, text: &str) -> Option<Word> {
        if let Some(known) = self.0.get(text) {
            return Some(known);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
        if self.0.len() >= MOST || text.len() > LONGEST || !text.chars().all(plain) {
            return None;
        }
        let word: Word = Box::leak(text.into());
        self.0.insert(word);
        Some(word)
    }
}

fn keep(text: &str) -> Option<Word> {
    KEPT.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .keep(text)
}

#[derive(Serialize, Deserialize)]
struct Whole(#[serde(with = "one")] Word);

/// A word.
pub mod one {
    use super::*;

    pub fn serialize<S: Serializer>(word: &Word, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(word)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
        let text = String::deserialize(from)?;
        keep(&text).ok_or_else(|| D::Error::custom("a name that pose4d does not give"))
    }
}

/// `Vec<(Word, f64)>`.
pub mod named {
    use super::*;

    pub fn serialize<S: Serializer>(list: &[(Word, f64)], to: S) -> Result<S::Ok, S::Error> {
        let whole = |&(word, value): &(Word, f64)| (Whole(word), value);
        list.iter().map(whole).collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(Word, f64)>, D::Error> {
        let list = Vec::<(Whole, f64)>::deserialize(from)?;
        Ok(list.into_iter().map(|(Whole(w), v)| (w, v)).collect())
    }
}

/// `Option<Vec<(Word, f32)>>`.
pub mod maybe_named {
    use super::*;

    type List = Option<Vec<(Word, f32)>>;

    pub fn serialize<S: Serializer>(list: &List, to: S) -> Result<S::Ok, S::Error> {
        let whole = |&(word, value): &(Word, f32)| (Whole(word), value);
        let list = list.as_ref();
        list.map(|list| list.iter().map(whole).collect::<Vec<_>>())
            .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<List, D::Error> {
        let list = Option::<Vec<(Whole, f32)>>::deserialize(from)?;
        Ok(list.map(|list| list.into_iter().map(|(Whole(w), v)| (w, v)).collect()))
    }
}

/// `Option<(Word, String)>`: an error's code and message.
pub mod coded {
    use super::*;

    type Error = Option<(Word, String)>;

    pub fn serialize<S: Serializer>(error: &Error, to: S) -> Result<S::Ok, S::Error> {
        let whole = error.as_ref().map(|(code, text)| (Whole(code), text));
        whole.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Error, D::Error> {
        let error = Option::<(Whole, String)>::deserialize(from)?;
        Ok(error.map(|(Whole(code), text)| (code, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_once_and_what_is_no_name_is_refused() {
        let mut words = Words::default();
        let (a, b) = (
            words.keep("left_knee").unwrap(),
            words.keep("left_knee").unwrap(),
        );
        assert_eq!((a, a.as_ptr()), ("left_knee", b.as_ptr()));
        assert_eq!(words.keep(&"x".repeat(LONGEST + 1)), None);
        assert_eq!(words.keep("a\nb"), None);
        for n in 0..2 * MOST {
            let _ = words.keep(&format!("made-up-{n}"));
        }
        assert_eq!(words.0.len(), MOST);
        assert_eq!(
            words.keep("left_knee"),
            Some("left_knee"),
            "known, and stays"
        );
    }
}
