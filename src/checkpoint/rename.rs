//! Tables that turn one project's tensor names into another's.

use indexmap::IndexMap;

/// One line of a table: names that match `from` are rewritten as `to`.
///
/// A pattern is a whole name with its parts between dots; `*` stands for one part, `**` at the
/// end for all that follow. `to` takes them in the same order:
/// `("backbone.layers.*.ffn.layers.0.0.**", "backbone.blocks.*.mlp.fc1.**")`.
pub type Rule = (&'static str, &'static str);

/// The name by the first rule that matches, or as it is.
pub fn rename(name: &str, rules: &[Rule]) -> String {
    rules
        .iter()
        .find_map(|(from, to)| Some(fill(to, &captures(name, from)?)))
        .unwrap_or_else(|| name.to_owned())
}

/// New name → old name for all of `names`; an error names two that become one.
pub fn table<'a>(
    names: impl IntoIterator<Item = &'a str>,
    rules: &[Rule],
) -> Result<IndexMap<String, &'a str>, String> {
    let mut table = IndexMap::new();
    for old in names {
        let new = rename(old, rules);
        if let Some(first) = table.insert(new.clone(), old) {
            return Err(format!("{first:?} and {old:?} are both renamed to {new:?}"));
        }
    }
    Ok(table)
}

/// What the stars of `pattern` stand for in `name`; `None` when it does not match.
fn captures<'a>(name: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    let mut rest = Some(name);
    for part in pattern.split('.') {
        let left = rest?;
        if part == "**" {
            found.push(left);
            return Some(found);
        }
        let (head, tail) = match left.split_once('.') {
            Some((head, tail)) => (head, Some(tail)),
            None => (left, None),
        };
        match part {
            "*" => found.push(head),
            _ if part == head => {}
            _ => return None,
        }
        rest = tail;
    }
    rest.is_none().then_some(found)
}

fn fill(pattern: &str, captures: &[&str]) -> String {
    let mut captures = captures.iter();
    let parts: Vec<&str> = pattern
        .split('.')
        .filter_map(|part| match part {
            "*" | "**" => captures.next().copied(),
            _ => Some(part),
        })
        .collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Rule; 3] = [
        (
            "backbone.layers.*.ffn.layers.0.0.**",
            "backbone.blocks.*.mlp.fc1.**",
        ),
        ("backbone.layers.*.**", "backbone.blocks.*.**"),
        ("module.**", "**"),
    ];

    #[test]
    fn the_first_rule_that_matches_decides() {
        let cases = [
            (
                "backbone.layers.11.ffn.layers.0.0.weight",
                "backbone.blocks.11.mlp.fc1.weight",
            ),
            (
                "backbone.layers.3.attn.qkv.bias",
                "backbone.blocks.3.attn.qkv.bias",
            ),
            ("module.head.weight", "head.weight"),
            ("module", "module"),
            ("backbone.layers.3", "backbone.layers.3"),
            ("head.weight", "head.weight"),
        ];
        for (old, new) in cases {
            assert_eq!(rename(old, &RULES), new);
        }
    }

    #[test]
    fn two_names_may_not_become_one() {
        let error = table(["module.a", "b", "a"], &RULES).unwrap_err();
        assert!(error.contains("\"module.a\" and \"a\""), "{error}");
        let table = table(["module.a", "b"], &RULES).unwrap();
        assert_eq!(table["a"], "module.a");
    }
}
