//! Servers that misbehave, one named behaviour each: connections cut off, lengths, contents.

use crate::cache::error::{DISK_FULL, DOWNLOAD, MODEL_CORRUPT};

mod cut {
    use super::super::behaviour_tests::{behaviours, once, *};
    use super::*;

    behaviours! {
        not_at_all: File, File, |hit, out, file| file.honest(hit, out);
        before_the_reply: File, File, |hit, out, file| once!(hit, out, file, ());
        in_the_status_line: File, File, |hit, out, file| once!(hit, out, file, out.raw("HTTP/1.1 20"));
        in_the_headers: File, File, |hit, out, file| once!(hit, out, file,
            out.raw("HTTP/1.1 200 OK\r\nContent-Le"));
        after_the_headers: File, File, |hit, out, file| once!(hit, out, file,
            out.whole(&file.bytes, 0, &[("ETag", file.etag)]));
        in_the_middle: File, File, |hit, out, file| once!(hit, out, file,
            out.whole(&file.bytes, file.half(), &[("ETag", file.etag)]));
        in_the_middle_without_etag: File, File, |hit, out, file| once!(hit, out, file,
            out.whole(&file.bytes, file.half(), &[]));
        before_the_last_byte: File, File, |hit, out, file| once!(hit, out, file,
            out.whole(&file.bytes, file.len() - 1, &[("ETag", file.etag)]));
        at_every_hundred_thousandth_byte: File, File, |hit, out, file| {
            let from = hit.from().unwrap_or(0);
            let to = (from + 100_000).min(file.len());
            if from == 0 {
                out.whole(&file.bytes, to, &[("ETag", file.etag)]);
            } else {
                let length = (file.len() - from).to_string();
                let range = file.range(from);
                out.head("206 Partial Content", &[
                    ("Content-Length", &length), ("Content-Range", &range), ("ETag", file.etag),
                ]);
                out.raw(&file.bytes[from..to]);
            }
        };
        always_at_the_same_byte: LOST, LOST, |_hit, out, file|
            out.whole(&file.bytes, file.half(), &[]);
        always_before_the_last_byte: LOST, LOST, |hit, out, file|
            if hit.from().is_none() {
                out.whole(&file.bytes, file.len() - 1, &[("ETag", file.etag)]);
            } else {
                out.head("206 Partial Content", &[
                    ("Content-Length", "1"), ("Content-Range", &file.range(file.len() - 1)),
                    ("ETag", file.etag),
                ]);
            };
        by_a_reset_in_the_middle: File, File, |hit, out, file| once!(hit, out, file, {
            out.whole(&file.bytes, file.half(), &[("ETag", file.etag)]);
            out.reset();
        });
        by_a_reset_before_the_reply: File, File, |hit, out, file|
            once!(hit, out, file, out.reset());
        by_resets_for_ever: LOST, LOST, |_hit, out, _file| out.reset();
        in_a_chunk: File, File, |hit, out, file| once!(hit, out, file, {
            out.head("200 OK", &[("Transfer-Encoding", "chunked"), ("ETag", file.etag)]);
            out.raw(format!("{:x}\r\n", file.len()));
            out.raw(&file.bytes[..file.half()]);
        });
        before_the_last_chunk: File, File, |hit, out, file| once!(hit, out, file, {
            out.head("200 OK", &[("Transfer-Encoding", "chunked"), ("ETag", file.etag)]);
            out.chunk(&file.bytes[..file.half()]);
        });
        before_the_end_of_the_chunks: File, File, |hit, out, file| once!(hit, out, file, {
            out.head("200 OK", &[("Transfer-Encoding", "chunked"), ("ETag", file.etag)]);
            out.chunk(&file.bytes);
        });
        where_no_length_was_announced: File, Code(DOWNLOAD, "how long the file is"), |hit, out, file| once!(hit, out, file, {
            out.head("200 OK", &[]);
            out.raw(&file.bytes[..file.half()]);
        });
    }
}

mod length {
    use super::super::behaviour_tests::{behaviours, *};
    use super::*;

    behaviours! {
        in_chunks: File, File, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            file.bytes.chunks(10_000).for_each(|chunk| out.chunk(chunk));
            out.raw("0\r\n\r\n");
        };
        in_chunks_with_extensions_and_trailers: File, File, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked"), ("Trailer", "X-End")]);
            out.raw(format!("{:x};name=value\r\n", file.len()));
            out.raw(&file.bytes);
            out.raw("\r\n0\r\nX-End: yes\r\n\r\n");
        };
        of_a_chunk_is_no_number: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            out.raw("many\r\n");
            out.raw(&file.bytes);
        };
        of_a_chunk_overflows: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            out.raw("ffffffffffffffffff\r\n");
            out.raw(&file.bytes);
        };
        of_the_chunks_is_too_long: Code(MODEL_CORRUPT, "more bytes"), Unasked, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            out.chunk(&file.bytes);
            out.chunk(b"more");
            out.raw("0\r\n\r\n");
        };
        of_the_chunks_is_too_short: LOST, Unasked, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            out.chunk(&file.bytes[..file.len() - 1]);
            out.raw("0\r\n\r\n");
        };
        is_nowhere_and_the_connection_ends: File, Code(DOWNLOAD, "how long the file is"),
            |_hit, out, file| {
                out.raw("HTTP/1.0 200 OK\r\n\r\n");
                out.raw(&file.bytes);
            };
        is_smaller_than_the_file: Code(DOWNLOAD, "expected"), Unasked, |_hit, out, file| {
            let length = (file.len() - 1).to_string();
            out.head("200 OK", &[("Content-Length", length.as_str())]);
            out.raw(&file.bytes);
        };
        is_larger_than_the_file: Code(DOWNLOAD, "expected"), LOST, |_hit, out, file| {
            let length = (file.len() + 1).to_string();
            out.head("200 OK", &[("Content-Length", length.as_str())]);
            out.raw(&file.bytes);
        };
        is_followed_by_more_bytes: File, File, |_hit, out, file| {
            out.whole(&file.bytes, file.len(), &[]);
            out.raw("and then some");
        };
        is_zero: LOST, Code(DOWNLOAD, "empty"), |_hit, out, _file|
            out.head("200 OK", &[("Content-Length", "0")]);
        is_zero_in_chunks: LOST, Code(DOWNLOAD, "empty"), |_hit, out, _file| {
            out.head("200 OK", &[("Transfer-Encoding", "chunked")]);
            out.raw("0\r\n\r\n");
        };
        is_negative: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Content-Length", "-5")]);
            out.raw(&file.bytes);
        };
        is_a_word: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Content-Length", "long")]);
            out.raw(&file.bytes);
        };
        is_given_twice_and_differs: LOST, LOST, |_hit, out, file| {
            let length = file.len().to_string();
            out.head("200 OK", &[("Content-Length", &length), ("Content-Length", "7777")]);
            out.raw(&file.bytes);
        };
        is_beyond_every_disk: Code(DOWNLOAD, "expected"), Code(DISK_FULL, "4611686018427387904"),
            |_hit, out, file| {
                out.head("200 OK", &[("Content-Length", "4611686018427387904")]);
                out.raw(&file.bytes);
            };
        overflows: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Content-Length", "99999999999999999999999999")]);
            out.raw(&file.bytes);
        };
    }
}

mod content {
    use super::super::behaviour_tests::{behaviours, *};
    use super::*;

    behaviours! {
        has_wrong_bytes: Code(MODEL_CORRUPT, "expected the SHA-256"), Unasked, |_hit, out, file| {
            let mut wrong = file.bytes.clone();
            *wrong.last_mut().unwrap() ^= 1;
            out.whole(&wrong, wrong.len(), &[("ETag", file.etag)]);
        };
        has_wrong_bytes_in_the_first_part: File, Unasked, |hit, out, file|
            once!(hit, out, file, {
                let mut wrong = file.bytes.clone();
                wrong[0] ^= 1;
                out.whole(&wrong, file.half().max(1).min(file.len() - 1), &[("ETag", file.etag)]);
            });
        is_another_file_of_the_same_length: Code(MODEL_CORRUPT, "SHA-256"), Unasked,
            |_hit, out, file| out.whole(&file.next, file.len(), &[]);
        is_a_web_page: Code(DOWNLOAD, ""), Code(DOWNLOAD, "web page"), |_hit, out, _file| {
            let page = "<!DOCTYPE html><html><title>Log in</title></html>";
            out.whole(page.as_bytes(), page.len(), &[("Content-Type", "text/html")]);
        };
        is_an_error_report_of_a_storage_cloud: Code(DOWNLOAD, ""), Code(DOWNLOAD, "web page"),
            |_hit, out, _file| {
                let page = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code></Error>";
                out.whole(page.as_bytes(), page.len(), &[]);
            };
        is_a_page_of_the_right_length: Code(DOWNLOAD, "web page"), Code(DOWNLOAD, "web page"),
            |_hit, out, file| {
                let page: Vec<u8> = b"<html>".iter().copied().cycle().take(file.len()).collect();
                out.whole(&page, page.len(), &[]);
            };
        is_a_pointer_of_git_lfs: Code(DOWNLOAD, ""), Code(DOWNLOAD, "LFS"), |_hit, out, _file| {
            let text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
            out.whole(text.as_bytes(), text.len(), &[]);
        };
        is_a_json_answer: Code(DOWNLOAD, ""), Code(DOWNLOAD, "JSON"), |_hit, out, _file| {
            let text = "{\"error\": \"quota exceeded\"}";
            out.whole(text.as_bytes(), text.len(), &[("Content-Type", "application/json")]);
        };
        is_a_page_where_the_rest_was_asked_for: File, File, |hit, out, file| match hit.from() {
            None if hit.n == 0 => out.whole(&file.bytes, file.half(), &[("ETag", file.etag)]),
            Some(_) => out.whole(b"<html>", 6, &[]),
            None => file.honest(hit, out),
        };
        is_gzipped: Code(DOWNLOAD, "gzip"), Code(DOWNLOAD, "gzip"), |_hit, out, file|
            out.whole(&file.bytes, file.len(), &[("Content-Encoding", "gzip")]);
        is_brotli: Code(DOWNLOAD, "br"), Code(DOWNLOAD, "br"), |_hit, out, file|
            out.whole(&file.bytes, file.len(), &[("Content-Encoding", "br")]);
        is_gzipped_on_the_way: LOST, LOST, |_hit, out, file| {
            out.head("200 OK", &[("Transfer-Encoding", "gzip, chunked")]);
            out.chunk(&file.bytes);
            out.raw("0\r\n\r\n");
        };
        is_plainly_encoded: File, File, |_hit, out, file|
            out.whole(&file.bytes, file.len(), &[("Content-Encoding", "identity")]);
        is_called_a_web_page_and_is_none: File, File, |_hit, out, file|
            out.whole(&file.bytes, file.len(), &[("Content-Type", "text/html")]);
        is_gzipped_from_the_second_part_on: Code(DOWNLOAD, ""), Code(DOWNLOAD, ""),
            |hit, out, file| match hit.from() {
                None if hit.n == 0 => out.whole(&file.bytes, file.half(), &[("ETag", file.etag)]),
                _ => out.whole(&file.bytes, file.len(), &[("Content-Encoding", "gzip")]),
            };
    }
}
