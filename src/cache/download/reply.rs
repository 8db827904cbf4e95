//! What a server's status and headers mean for the bytes already held. Nothing here touches the network.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderName};

use super::fault::Failure;
use super::request::Request;
use super::state::State;

/// What was asked of the server.
pub struct Asked<'a> {
    pub request: &'a Request,
    /// First byte wanted; 0 asks for the whole file.
    pub from: u64,
    /// What the bytes held belong to.
    pub state: &'a State,
    /// The same source gave those bytes.
    pub same_source: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// The body is the file from its first byte.
    Whole { total: Option<u64> },
    /// The body continues what is held, up to byte `end`.
    Continue { end: u64, total: u64 },
    /// Everything is held already.
    Complete,
}

/// Validators of a reply, as far as they promise equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

impl Validators {
    pub fn of(headers: &HeaderMap) -> Self {
        let etag = text(headers, header::ETAG).filter(|tag| is_strong(tag));
        let changed = text(headers, header::LAST_MODIFIED);
        // A file changed in the second before the reply may change again in that second.
        let settled = |changed: &str| {
            let date = date(&text(headers, header::DATE)?)?;
            Some(date.duration_since(self::date(changed)?).ok()? >= Duration::from_secs(1))
        };
        let last_modified = changed.filter(|changed| settled(changed) == Some(true));
        Self {
            etag: etag.map(str::to_owned),
            last_modified: last_modified.map(str::to_owned),
        }
    }
}

fn is_strong(tag: &str) -> bool {
    tag.len() >= 2 && tag.len() <= 1024 && tag.starts_with('"') && tag.ends_with('"')
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    text(headers, header::CONTENT_TYPE)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// The server's wish for a pause.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let wish = text(headers, header::RETRY_AFTER)?;
    if let Ok(seconds) = wish.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(wish)?;
    Some(until.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Decides from status and headers alone.
pub fn plan(status: StatusCode, headers: &HeaderMap, asked: &Asked) -> Result<Plan, Failure> {
    match status.as_u16() {
        200 | 206 => uncoded(headers)?,
        416 if asked.from > 0 => return beyond(headers, asked),
        code => return Err(refused(code, headers)),
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return range(headers, asked);
    }
    let total = length(headers);
    if let Some(why) = total.and_then(|total| asked.request.refuses_length(total)) {
        return Err(Failure::source(format!(
            "another file than the one meant: {why}"
        )));
    }
    let found = Validators::of(headers);
    let same = asked.same_source && found.etag.is_some() && found.etag == asked.state.etag;
    if let (true, Some(total), Some(before)) = (same, total, asked.state.total)
        && total != before
    {
        return Err(Failure::restart(format!(
            "the server says it is still the same file, once with {before} bytes, once with {total}"
        )));
    }
    if total == Some(0) {
        return Err(Failure::source("the server sent an empty file"));
    }
    let known = asked.request.bytes.is_some() || asked.request.has_hash();
    let framed = text(headers, header::TRANSFER_ENCODING).is_some();
    if total.is_none() && !framed && !known {
        // The end of the connection would be taken for the end of the file.
        return Err(Failure::source(
            "the server does not say how long the file is",
        ));
    }
    Ok(Plan::Whole { total })
}

/// Compressed bytes are not the file's: their positions mean nothing for a later range.
fn uncoded(headers: &HeaderMap) -> Result<(), Failure> {
    let plain = |name, plain: &str| {
        let values = headers.get_all(name).iter();
        let mut codes = values.flat_map(|v| v.to_str().unwrap_or("?").split(','));
        codes.find(|code| !code.trim().eq_ignore_ascii_case(plain) && !code.trim().is_empty())
    };
    let code = plain(header::CONTENT_ENCODING, "identity")
        .or_else(|| plain(header::TRANSFER_ENCODING, "chunked"));
    match code {
        None => Ok(()),
        Some(code) => Err(Failure::source(format!(
            "asked for plain bytes, and the server sent them encoded as {:?}",
            code.trim()
        ))),
    }
}

fn refused(code: u16, headers: &HeaderMap) -> Failure {
    let meaning = match code {
        204 => "no content",
        206 => "a part of the file that was not asked for",
        401 | 403 => "access refused; the file may need a login, or the proxy forbids it",
        404 | 410 => "the file is not there any more",
        407 => {
            "the proxy asks for a user name and password: put them into HTTPS_PROXY as \
             http://user:password@host:port"
        }
        408 => "the server got tired of waiting",
        416 => "no such range, although the whole file was asked for",
        429 => "too many requests",
        451 => "not available here for legal reasons",
        500..=599 => "the server has a problem",
        _ => "an answer of no use",
    };
    let why = format!("status {code}: {meaning}");
    match code {
        408 | 425 | 429 | 500 | 502 | 503 | 504 | 520..=529 => Failure::Retry {
            why,
            after: retry_after(headers),
        },
        _ => Failure::Source { why },
    }
}

/// 416: either everything is held, or the bytes held are not of this file.
fn beyond(headers: &HeaderMap, asked: &Asked) -> Result<Plan, Failure> {
    let total = text(headers, header::CONTENT_RANGE)
        .and_then(|range| range.strip_prefix("bytes */"))
        .and_then(|total| total.trim().parse::<u64>().ok());
    let found = Validators::of(headers);
    match total {
        Some(total) if total == asked.from && !changed(&found, asked) => {
            if let Some(why) = asked.request.refuses_length(total) {
                return Err(Failure::restart(why));
            }
            Ok(Plan::Complete)
        }
        Some(total) => Err(Failure::restart(format!(
            "{} bytes were held of a file of {total}",
            asked.from
        ))),
        None => Err(Failure::restart(
            "the server refuses to continue where the last attempt ended",
        )),
    }
}

/// Whether a reply shows that the file is another one than that of the bytes held.
fn changed(found: &Validators, asked: &Asked) -> bool {
    if !asked.same_source {
        return false;
    }
    let differs = |found: &Option<String>, held: &Option<String>| match (found, held) {
        (Some(found), Some(held)) => found != held,
        _ => false,
    };
    differs(&found.etag, &asked.state.etag)
        || (found.etag.is_none() && differs(&found.last_modified, &asked.state.last_modified))
}

fn range(headers: &HeaderMap, asked: &Asked) -> Result<Plan, Failure> {
    let wrong = |what: String| Failure::restart(format!("wrong part of the file: {what}"));
    let said = text(headers, header::CONTENT_RANGE).unwrap_or("nothing");
    let Some((start, end, total)) = parse_range(said) else {
        return Err(wrong(format!(
            "expected one range of bytes, found {said:?}"
        )));
    };
    if start != asked.from {
        return Err(wrong(format!(
            "expected byte {}, found {start}",
            asked.from
        )));
    }
    let known = asked
        .state
        .total
        .filter(|_| asked.from > 0)
        .or(asked.request.bytes);
    if let (Some(total), Some(known)) = (total, known)
        && total != known
    {
        return Err(wrong(format!(
            "expected a file of {known} bytes, found {total}"
        )));
    }
    if let Some(why) = total.and_then(|total| asked.request.refuses_length(total)) {
        return Err(Failure::source(format!(
            "another file than the one meant: {why}"
        )));
    }
    let Some(total) = total.or(known) else {
        return Err(wrong(format!(
            "{said:?} does not tell the length of the file"
        )));
    };
    if end > total {
        return Err(wrong(format!("the range {said:?} ends after the file")));
    }
    if length(headers).is_some_and(|length| length != end - start) {
        let length = length(headers).unwrap_or_default();
        return Err(wrong(format!("{said:?} with {length} bytes")));
    }
    if asked.from == 0 {
        // Nobody asked for a part; all of it is welcome.
        if total != end {
            return Err(refused(206, headers));
        }
        return Ok(Plan::Whole { total: Some(total) });
    }
    same_file(headers, asked)?;
    Ok(Plan::Continue { end, total })
}

/// With a hash to compare, the bytes decide in the end; without one, the validators must.
fn same_file(headers: &HeaderMap, asked: &Asked) -> Result<(), Failure> {
    let found = Validators::of(headers);
    if changed(&found, asked) {
        return Err(Failure::restart("the file has changed on the server"));
    }
    let promised = asked.request.has_hash()
        || match &asked.state.etag {
            Some(_) => found.etag.is_some(),
            None => asked.state.last_modified.is_some(),
        };
    if promised {
        return Ok(());
    }
    Err(Failure::restart(
        "the server does not say whether the file is still the same",
    ))
}

/// `bytes 5-9/20` → (5, 10, Some(20)).
fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (first < end).then_some((first, end, total))
}
