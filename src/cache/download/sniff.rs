//! Pages, pointers and error reports that come with status 200 where a file of weights was expected.

/// How much of the beginning is looked at.
pub const HEAD: usize = 512;

/// Why `head`, the first bytes of a file called `name`, cannot be a model's; `None` when it may be.
pub fn not_a_model(head: &[u8], name: &str, content_type: Option<&str>) -> Option<String> {
    if head.starts_with(b"version https://git-lfs") {
        return Some(
            "found a Git LFS pointer instead of the file: the host keeps the bytes elsewhere"
                .into(),
        );
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let text = text.trim_ascii_start();
    // No format of weights or settings starts so; web pages and the storage clouds' error reports do.
    if text.first() == Some(&b'<') {
        let title = title(text).map_or(String::new(), |title| format!(" ({title:?})"));
        return Some(format!(
            "found a web page instead of the file{title}: a login, a consent form or a proxy's notice"
        ));
    }
    let json = content_type.is_some_and(|kind| kind.starts_with("application/json"));
    if json && text.first() == Some(&b'{') && !name.ends_with(".json") {
        return Some("found a JSON answer instead of the file".into());
    }
    None
}

fn title(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let start = text.to_ascii_lowercase().find("<title>")? + "<title>".len();
    let rest = text.get(start..)?;
    let title = rest.get(..rest.find('<')?)?.trim();
    Some(title.chars().filter(|c| !c.is_control()).take(80).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_pointers_are_told_from_weights() {
        let page = b"\n <!DOCTYPE html><html><head><Title>Please log in</title>";
        let found = not_a_model(page, "a.pt", None).unwrap();
        assert!(found.contains("Please log in"), "{found}");
        for text in [
            &b"\xEF\xBB\xBF<?xml version=\"1.0\"?><Error>"[..],
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            b"<html>",
        ] {
            assert!(not_a_model(text, "a.pkl", None).is_some());
        }
        assert!(not_a_model(b"{\"error\": 1}", "a.pt", Some("application/json")).is_some());
        for text in [
            &b"PK\x03\x04"[..],
            b"\x80\x02}q\x00",
            b"",
            b"(dp0\n",
            b"\x89HDF\r\n\x1a\n",
        ] {
            assert_eq!(not_a_model(text, "a.pt", Some("text/html")), None);
        }
        assert_eq!(not_a_model(b"{}", "a.json", Some("application/json")), None);
    }
}
