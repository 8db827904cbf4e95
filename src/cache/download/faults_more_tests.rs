//! Servers that misbehave, one named behaviour each: ranges, validators, statuses, redirects, time, noise.

use std::time::Duration;

use super::behaviour_tests::{Code, File, LOST, Next, Unasked, behaviours, once};
use super::server_tests::{Content, Out};
use crate::cache::error::{DOWNLOAD, MODEL_CORRUPT};

/// The first half, from a server that seems fine.
fn first_half(out: &mut Out, file: &Content) {
    out.whole(&file.bytes, file.half(), &[("ETag", file.etag)]);
}

/// Cuts the first reply in the middle; `fault` answers every request for the rest, and an honest
/// server those for the whole file.
macro_rules! rest {
    ($hit:ident, $out:ident, $file:ident, |$from:ident| $fault:expr) => {
        match $hit.from() {
            None if $hit.n == 0 => first_half($out, $file),
            None => $file.honest($hit, $out),
            Some($from) => $fault,
        }
    };
}

mod range {
    use super::*;

    behaviours! {
        answered_with_the_whole_file: File, File, |hit, out, file| rest!(hit, out, file, |_from|
            out.whole(&file.bytes, file.len(), &[("ETag", file.etag)]));
        answered_with_the_rest_as_if_it_were_all: File, File, |hit, out, file|
            rest!(hit, out, file, |from| {
                let rest = &file.bytes[from..];
                out.whole(rest, rest.len(), &[("ETag", file.etag)]);
            });
        starts_at_zero: File, File, |hit, out, file| rest!(hit, out, file, |_from|
            out.part(&file.range(0), &file.bytes, &[("ETag", file.etag)]));
        starts_one_byte_early: File, File, |hit, out, file| rest!(hit, out, file, |from|
            out.part(&file.range(from - 1), &file.bytes[from - 1..], &[("ETag", file.etag)]));
        starts_one_byte_late: File, File, |hit, out, file| rest!(hit, out, file, |from|
            out.part(&file.range(from + 1), &file.bytes[from + 1..], &[("ETag", file.etag)]));
        names_another_total: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len() + 9);
            out.part(&range, &file.bytes[from..], &[("ETag", file.etag)]);
        });
        ends_after_the_file: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let range = format!("bytes {from}-{}/{}", file.len() + 9, file.len());
            out.part(&range, &file.bytes[from..], &[("ETag", file.etag)]);
        });
        ends_before_it_starts: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let range = format!("bytes {from}-{}/{}", from - 1, file.len());
            out.part(&range, &file.bytes[from..], &[("ETag", file.etag)]);
        });
        has_another_length_than_it_says: File, File, |hit, out, file| rest!(hit, out, file, |from|
            out.part(&file.range(from), &file.bytes[from + 1..], &[("ETag", file.etag)]));
        is_longer_than_it_says: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let length = (file.len() - from).to_string();
            out.head("206 Partial Content", &[
                ("Content-Length", &length), ("Content-Range", &file.range(from)),
                ("ETag", file.etag),
            ]);
            out.raw(&file.bytes[from..]);
            out.raw("and more");
        });
        is_longer_than_it_says_in_chunks: Code(MODEL_CORRUPT, ""), Code(MODEL_CORRUPT, "more bytes"),
            |hit, out, file| match hit.from() {
                None if file.half() > 0 => first_half(out, file),
                from => {
                    out.head("206 Partial Content", &[
                        ("Transfer-Encoding", "chunked"), ("ETag", file.etag),
                        ("Content-Range", &file.range(from.unwrap_or(0))),
                    ]);
                    out.chunk(&file.bytes[from.unwrap_or(0)..]);
                    out.chunk(b"and more");
                    out.raw("0\r\n\r\n");
                }
            };
        is_given_in_small_parts: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let to = (from + 100_000).min(file.len());
            let range = format!("bytes {from}-{}/{}", to - 1, file.len());
            out.part(&range, &file.bytes[from..to], &[("ETag", file.etag)]);
        });
        does_not_name_the_total: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let range = format!("bytes {from}-{}/*", file.len() - 1);
            out.part(&range, &file.bytes[from..], &[("ETag", file.etag)]);
        });
        comes_as_several_parts: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let body = [b"--x\r\n\r\n", &file.bytes[from..], b"\r\n--x--\r\n"].concat();
            let length = body.len().to_string();
            out.head("206 Partial Content", &[
                ("Content-Type", "multipart/byteranges; boundary=x"), ("Content-Length", &length),
            ]);
            out.raw(body);
        });
        is_not_named: File, File, |hit, out, file| rest!(hit, out, file, |from| {
            let length = (file.len() - from).to_string();
            out.head("206 Partial Content", &[("Content-Length", &length), ("ETag", file.etag)]);
            out.raw(&file.bytes[from..]);
        });
        is_in_another_unit: File, File, |hit, out, file| rest!(hit, out, file, |from|
            out.part(&file.range(from).replace("bytes", "pages"), &file.bytes[from..], &[]));
        is_nonsense: File, File, |hit, out, file| rest!(hit, out, file, |from|
            out.part("bytes 99999999999999999999-/x", &file.bytes[from..], &[]));
        was_not_asked_for_and_is_all: File, File, |_hit, out, file|
            out.part(&file.range(0), &file.bytes, &[("ETag", file.etag)]);
        was_not_asked_for_and_is_half: Code(DOWNLOAD, ""), Code(DOWNLOAD, ""), |_hit, out, file| {
            let half = &file.bytes[..file.half()];
            let range = format!("bytes 0-{}/{}", half.len().max(1) - 1, file.len() + 1);
            out.part(&range, half, &[("ETag", file.etag)]);
        };
        is_refused_with_416: File, File, |hit, out, file| rest!(hit, out, file, |_from|
            out.status("416 Range Not Satisfiable", &[]));
        is_refused_with_416_and_a_shorter_file: File, File, |hit, out, file|
            rest!(hit, out, file, |from| {
                let range = format!("bytes */{}", from - 1);
                out.status("416 Range Not Satisfiable", &[("Content-Range", &range)]);
            });
        is_refused_with_416_because_all_is_there: File, File, |hit, out, file| if hit.n == 0 {
            out.head("200 OK", &[("Transfer-Encoding", "chunked"), ("ETag", file.etag)]);
            out.chunk(&file.bytes);
        } else {
            file.honest(hit, out);
        };
        is_refused_with_400: LOST, LOST, |hit, out, file| match hit.from() {
            None if file.half() > 0 => first_half(out, file),
            _ => out.status("400 Bad Request", &[]),
        };
        is_refused_with_416_and_so_is_everything: LOST, LOST, |hit, out, file| if hit.n == 0 {
            first_half(out, file);
        } else {
            out.status("416 Range Not Satisfiable", &[]);
        };
    }
}

mod version {
    use super::*;

    behaviours! {
        changes_after_the_first_half: Next, Next, |hit, out, file| if hit.n == 0 {
            first_half(out, file);
        } else {
            file.honest_next(hit, out);
        };
        changes_and_if_range_is_ignored: Next, Next, |hit, out, file| match (hit.n, hit.from()) {
            (0, _) => first_half(out, file),
            (_, None) => file.honest_next(hit, out),
            (_, Some(from)) => {
                let range = format!("bytes {from}-{}/{}", file.next.len() - 1, file.next.len());
                out.part(&range, &file.next[from..], &[("ETag", "\"v2\"")]);
            }
        };
        changes_and_the_length_stays: File, File, |hit, out, file| match (hit.n, hit.from()) {
            (0, _) => out.whole(&file.next, file.half(), &[("ETag", "\"v0\"")]),
            (_, None) => file.honest(hit, out),
            (_, Some(from)) => out.part(&file.range(from), &file.bytes[from..], &[("ETag", file.etag)]),
        };
        changes_and_the_etag_is_gone: File, File, |hit, out, file| match (hit.n, hit.from()) {
            (0, _) => out.whole(&file.next, file.half(), &[("ETag", "\"v0\"")]),
            (_, None) => file.honest(hit, out),
            (_, Some(from)) => out.part(&file.range(from), &file.bytes[from..], &[]),
        };
        changes_each_time: LOST, LOST, |hit, out, file| {
            let etag = format!("\"v{}\"", hit.n);
            out.whole(&file.bytes, file.half(), &[("ETag", &etag)]);
        };
        has_a_weak_etag: File, File, |hit, out, file| match hit.n {
            0 => out.whole(&file.bytes, file.half(), &[("ETag", "W/\"v1\"")]),
            _ => {
                assert_eq!(hit.header("if-range"), None, "a weak validator is none for ranges");
                file.honest(hit, out);
            }
        };
        has_a_date_only: File, File, |hit, out, file| {
            let dates = [
                ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
                ("Date", "Thu, 22 Oct 2015 07:28:00 GMT"),
            ];
            match hit.from() {
                None if hit.n == 0 => out.whole(&file.bytes, file.half(), &dates),
                None => out.whole(&file.bytes, file.len(), &dates),
                Some(from) => {
                    assert_eq!(hit.header("if-range"), Some(dates[0].1));
                    out.part(&file.range(from), &file.bytes[from..], &dates);
                }
            }
        };
        has_a_date_that_changes: File, File, |hit, out, file| {
            let date = [
                ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
                ("Date", "Thu, 22 Oct 2015 07:28:00 GMT"),
            ];
            let later = [("Last-Modified", "Thu, 22 Oct 2015 07:00:00 GMT"), date[1]];
            match hit.from() {
                None if hit.n == 0 => out.whole(&file.next, file.half(), &date),
                None => out.whole(&file.bytes, file.len(), &later),
                Some(from) => out.part(&file.range(from), &file.bytes[from..], &later),
            }
        };
        has_a_date_of_this_second: File, File, |hit, out, file| {
            let dates = [
                ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
                ("Date", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ];
            if hit.n == 0 {
                out.whole(&file.bytes, file.half(), &dates);
            } else {
                assert_eq!(hit.header("if-range"), None, "it may change within its second");
                file.honest(hit, out);
            }
        };
        has_a_broken_etag: File, File, |hit, out, file| once!(hit, out, file,
            out.whole(&file.bytes, file.half(), &[("ETag", "v1 without quotes")]));
        has_a_giant_etag: File, File, |hit, out, file| once!(hit, out, file, {
            let etag = format!("\"{}\"", "x".repeat(50_000));
            out.whole(&file.bytes, file.half(), &[("ETag", &etag)]);
        });
    }
}

mod status {
    use super::*;

    behaviours! {
        is_500_once: File, File, |hit, out, file|
            once!(hit, out, file, out.status("500 Internal Server Error", &[]));
        is_502_in_the_middle: File, File, |hit, out, file| match hit.n {
            0 => first_half(out, file),
            1 => out.status("502 Bad Gateway", &[]),
            _ => file.honest(hit, out),
        };
        is_503_with_a_pause: File, File, |hit, out, file|
            once!(hit, out, file, out.status("503 Service Unavailable", &[("Retry-After", "0")]));
        is_503_until_a_date: File, File, |hit, out, file| once!(hit, out, file, {
            let past = [("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")];
            out.status("503 Service Unavailable", &past);
        });
        is_503_until_next_year: Code(DOWNLOAD, "503"), Code(DOWNLOAD, "503"), |_hit, out, _file|
            out.status("503 Service Unavailable", &[("Retry-After", "31536000")]);
        is_429_with_nonsense: File, File, |hit, out, file|
            once!(hit, out, file, out.status("429 Too Many Requests", &[("Retry-After", "soon")]));
        is_429_for_ever: Code(DOWNLOAD, "429"), Code(DOWNLOAD, "429"), |_hit, out, _file|
            out.status("429 Too Many Requests", &[("Retry-After", "0")]);
        is_408_once: File, File, |hit, out, file|
            once!(hit, out, file, out.status("408 Request Timeout", &[]));
        is_500_for_ever: Code(DOWNLOAD, "500"), Code(DOWNLOAD, "500"), |_hit, out, _file|
            out.status("500 Internal Server Error", &[]);
        is_404: Code(DOWNLOAD, "not there any more"), Code(DOWNLOAD, "404"), |_hit, out, _file|
            out.status("404 Not Found", &[]);
        is_404_in_the_middle: Code(DOWNLOAD, "404"), Code(DOWNLOAD, "404"), |hit, out, file|
            if hit.n == 0 { first_half(out, file) } else { out.status("404 Not Found", &[]) };
        is_403: Code(DOWNLOAD, "login"), Code(DOWNLOAD, "403"), |_hit, out, _file|
            out.status("403 Forbidden", &[]);
        is_401: Code(DOWNLOAD, "login"), Code(DOWNLOAD, "401"), |_hit, out, _file|
            out.status("401 Unauthorized", &[("WWW-Authenticate", "Basic")]);
        is_407: Code(DOWNLOAD, "HTTPS_PROXY"), Code(DOWNLOAD, "407"), |_hit, out, _file|
            out.status("407 Proxy Authentication Required", &[]);
        is_204: Code(DOWNLOAD, "204"), Code(DOWNLOAD, "204"), |_hit, out, _file|
            out.head("204 No Content", &[]);
        is_304: Code(DOWNLOAD, "304"), Code(DOWNLOAD, "304"), |_hit, out, _file|
            out.head("304 Not Modified", &[]);
        is_999: Code(DOWNLOAD, "999"), Code(DOWNLOAD, "999"), |_hit, out, _file|
            out.status("999 Request Denied", &[]);
        is_no_number: LOST, LOST, |_hit, out, file| {
            out.raw("HTTP/1.1 OK fine\r\n\r\n");
            out.raw(&file.bytes);
        };
        follows_some_100s: File, File, |hit, out, file| {
            out.raw("HTTP/1.1 100 Continue\r\n\r\n");
            out.raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            file.honest(hit, out);
        };
        follows_100s_without_end: LOST, LOST, |_hit, out, _file| for _ in 0..2_000_000 {
            let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n";
            if std::io::Write::write_all(&mut out.0, hint).is_err() { break }
        };
    }
}

mod redirect {
    use super::*;

    behaviours! {
        leads_to_the_file: File, File, |hit, out, file| if hit.path == "/weights.bin" {
            out.status("302 Found", &[("Location", "there?x=1")]);
        } else {
            assert_eq!(hit.path, "/there?x=1");
            file.honest(hit, out);
        };
        leads_to_the_file_each_time_elsewhere: File, File, |hit, out, file|
            if hit.path == "/weights.bin" {
                out.status("307 Temporary Redirect", &[("Location", &format!("/s?{}", hit.n))]);
            } else if hit.n == 1 {
                first_half(out, file);
            } else {
                file.honest(hit, out);
            };
        takes_ten_steps: File, File, |hit, out, file| if hit.n < 10 {
            out.status("301 Moved Permanently", &[("Location", &format!("/{}", hit.n))]);
        } else {
            file.honest(hit, out);
        };
        takes_eleven_steps: Code(DOWNLOAD, "10 redirects"), Code(DOWNLOAD, "10 redirects"),
            |hit, out, _file|
                out.status("308 Permanent Redirect", &[("Location", &format!("/{}", hit.n))]);
        leads_to_itself: Code(DOWNLOAD, "circle"), Code(DOWNLOAD, "circle"), |hit, out, _file|
            out.status("302 Found", &[("Location", &hit.path)]);
        goes_round_in_a_circle: Code(DOWNLOAD, "circle"), Code(DOWNLOAD, "circle"),
            |hit, out, _file| {
                let next = if hit.path == "/a" { "/weights.bin" } else { "/a" };
                out.status("303 See Other", &[("Location", next)]);
            };
        leads_nowhere: Code(DOWNLOAD, "nowhere"), Code(DOWNLOAD, "nowhere"), |_hit, out, _file|
            out.status("302 Found", &[]);
        leads_to_a_file_of_this_machine: Code(DOWNLOAD, "only http"), Code(DOWNLOAD, "only http"),
            |_hit, out, _file| out.status("302 Found", &[("Location", "file:///etc/passwd")]);
        leads_to_ftp: Code(DOWNLOAD, "only http"), Code(DOWNLOAD, "only http"), |_hit, out, _file|
            out.status("302 Found", &[("Location", "ftp://example.org/weights.bin")]);
        leads_to_nonsense: Code(DOWNLOAD, "no URL"), Code(DOWNLOAD, "no URL"), |_hit, out, _file|
            out.status("302 Found", &[("Location", "http://[::1")]);
        is_one_of_several_choices: Code(DOWNLOAD, "nowhere"), Code(DOWNLOAD, "nowhere"),
            |_hit, out, _file| out.status("300 Multiple Choices", &[]);
    }
}

mod time {
    use super::*;

    fn wait(ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    behaviours! {
        stops_before_the_reply_once: File, File, |hit, out, file|
            once!(hit, out, file, out.stall());
        stops_in_the_headers_once: File, File, |hit, out, file| once!(hit, out, file, {
            out.raw("HTTP/1.1 200 OK\r\nContent-");
            out.stall();
        });
        stops_in_the_middle_once: File, File, |hit, out, file| once!(hit, out, file, {
            first_half(out, file);
            out.stall();
        });
        stops_before_the_last_byte_once: File, File, |hit, out, file| once!(hit, out, file, {
            out.whole(&file.bytes, file.len() - 1, &[("ETag", file.etag)]);
            out.stall();
        });
        drips_headers: LOST, LOST, |_hit, out, _file| {
            out.raw("HTTP/1.1 200 OK\r\n");
            for n in 0..40 {
                out.raw(format!("X-{n}: y\r\n"));
                wait(20);
            }
        };
        drips_bytes: Unasked, Code(DOWNLOAD, "bytes per second"),
            |_hit, out, _file| {
                out.whole(&[1; 2000], 0, &[]);
                for _ in 0..20 {
                    out.raw([1]);
                    wait(20);
                }
            };
        passes_slowly_and_steadily: File, File, |_hit, out, file| {
            out.head("200 OK", &[("Content-Length", &file.len().to_string())]);
            let step = (file.len() / 10).max(1);
            for piece in file.bytes.chunks(step) {
                out.raw(piece);
                wait(20);
            }
        };
    }
}

mod noise {
    use super::*;

    behaviours! {
        is_not_http: LOST, LOST, |_hit, out, _file| out.raw("SSH-2.0-OpenSSH_9.2\r\n");
        is_http_2: LOST, LOST, |_hit, out, _file|
            // SETTINGS, then GOAWAY.
            out.raw(b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b");
        is_http_0_9: LOST, LOST, |_hit, out, file| out.raw(&file.bytes);
        has_a_giant_header: LOST, LOST, |_hit, out, file| {
            let big = "x".repeat(1 << 20);
            out.whole(&file.bytes, file.len(), &[("X-Big", &big)]);
        };
        has_a_thousand_headers: LOST, LOST, |_hit, out, file| {
            let names: Vec<String> = (0..1000).map(|n| format!("X-{n}")).collect();
            let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "y")).collect();
            out.whole(&file.bytes, file.len(), &headers);
        };
        has_a_header_without_colon: LOST, LOST, |_hit, out, file|
            out.raw([b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", file.bytes.as_slice()].concat());
        has_a_null_in_a_header: LOST, LOST, |_hit, out, file|
            out.whole(&file.bytes, file.len(), &[("X-Null", "a\0b")]);
        has_an_endless_status_line: LOST, LOST, |_hit, out, _file| {
            out.raw("HTTP/1.1 200 ");
            out.raw(vec![b'x'; 2 << 20]);
        };
        has_both_length_and_chunks: File, Unasked, |_hit, out, file| {
            out.head("200 OK", &[
                ("Content-Length", &file.len().to_string()), ("Transfer-Encoding", "chunked"),
            ]);
            out.chunk(&file.bytes);
            out.raw("0\r\n\r\n");
        };
    }
}
