use std::cell::RefCell;
use std::path::{Path, PathBuf};

use mainstay::core::config::ConfigError;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::origin::Origin;
use super::problem::{Problem, Problems, found};

/// A file's text with the place of every key in it.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    path: Option<PathBuf>,
    root: DeTable<'a>,
    /// Files that it names, as far as they were asked for.
    named: RefCell<Vec<PathBuf>>,
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str, path: Option<&Path>) -> Result<Self, Problems> {
        let path = path.map(PathBuf::from);
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { text, path, root: root.into_inner(), named: RefCell::default() }),
            Err(error) => {
                let line = error.span().map(|span| line_at(text, span.start));
                let message = error.message().trim_end().replace('\n', ", ");
                Err(Problem { file: path, line, field: String::new(), message }.into())
            }
        }
    }

    /// The line of the field at `path` (numbers count in lists), or of the nearest thing around it.
    pub(super) fn line(&self, path: &str) -> Option<usize> {
        let mut line = None;
        let mut table = &self.root;
        let mut segments = path.split('.').peekable();
        while let Some(segment) = segments.next() {
            let Some((key, value)) = table.get_key_value(segment) else { break };
            line = Some(line_at(self.text, key.span().start));
            let mut value = value;
            while let (Some(list), Some(segment)) = (value.get_ref().as_array(), segments.peek()) {
                let index = segment.parse().ok();
                let Some(item) = index.and_then(|index: usize| list.get(index)) else { break };
                segments.next();
                line = Some(line_at(self.text, item.span().start));
                value = item;
            }
            let Some(inner) = value.get_ref().as_table() else { break };
            table = inner;
        }
        line
    }

    /// Whether the file says anything at `field` of a section such as `sessions.limits`, and where.
    pub(super) fn origin(&self, section: &str, field: &str) -> Option<Origin> {
        let mut table = &self.root;
        for part in section.split('.') {
            table = table.get(part)?.get_ref().as_table()?;
        }
        let (key, _) = table.get_key_value(field)?;
        let line = line_at(self.text, key.span().start);
        Some(Origin::File { path: self.path.clone().unwrap_or_default(), line })
    }

    /// Where the file of that `name` is: beside this one, unless it says a whole path.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        let folder = self.path.as_deref().and_then(Path::parent);
        let path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        self.named.borrow_mut().push(path.clone());
        path
    }

    /// This file and those that it names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.path.iter().cloned().chain(self.named.borrow().iter().cloned()).collect()
    }

    /// What is wrong at `path`; `label` is what people call it.
    pub(super) fn problem(&self, path: &str, label: &str, message: String) -> Problem {
        Problem { file: self.path.clone(), line: self.line(path), field: label.into(), message }
    }

    /// What a check said about a part of the configuration at `path`.
    pub(super) fn refused(&self, path: &str, label: &str, error: &ConfigError) -> Problem {
        let path = format!("{path}.{}", error.field);
        self.problem(&path, &format!("{label}.{}", error.field), found(error))
    }

    /// What the reader of types said.
    pub(super) fn mistyped(&self, error: &toml::de::Error) -> Problem {
        let start = error.span().map(|span| span.start);
        let message = error.message().trim_end().replace('\n', ", ");
        // The name inside is that of the type that was read; the field is named beside it.
        let message = message.strip_prefix("`duration` ").unwrap_or(&message).to_owned();
        Problem {
            file: self.path.clone(),
            line: start.map(|start| line_at(self.text, start)),
            field: start.and_then(|at| field_at(&self.root, at, "")).unwrap_or_default(),
            message,
        }
    }
}

/// The path of the innermost key whose name or value holds the position `at`.
fn field_at(table: &DeTable<'_>, at: usize, outer: &str) -> Option<String> {
    for (key, value) in table {
        let path = if outer.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{outer}.{}", key.get_ref())
        };
        if let Some(path) = inside(value, at, &path) {
            return Some(path);
        }
        let holds = |span: core::ops::Range<usize>| span.contains(&at);
        if holds(key.span()) || holds(value.span()) {
            return Some(path);
        }
    }
    None
}

fn inside(value: &Spanned<DeValue<'_>>, at: usize, path: &str) -> Option<String> {
    if let Some(table) = value.get_ref().as_table() {
        return field_at(table, at, path);
    }
    let list = value.get_ref().as_array()?;
    list.iter().enumerate().find_map(|(index, item)| {
        let named = item.get_ref().as_table().and_then(|table| table.get("name"));
        let name = named.and_then(|name| name.get_ref().as_str());
        let path = match name {
            Some(name) => format!("{path}.{name}"),
            None => format!("{path}.{}", index + 1),
        };
        inside(item, at, &path)
    })
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
