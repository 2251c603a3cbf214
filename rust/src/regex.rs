//! Regular expressions -> equivalent ones without flags, names, anchors or shorthand surprises.
//!
//! What comes out matches whole texts, can stand between slashes in Lark, holds no raw control
//! character, and means the same to every user of the crate `regex-syntax`.

use derivre::{RegexAst, RegexBuilder};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};
use std::sync::OnceLock;

pub const JSON: u32 = 1;
pub const ECMA: u32 = 2;
pub const BLANK: u32 = 4;

const MAX_BYTES: usize = 1 << 20; // of the output
const MAX_WEIGHT: u64 = 100_000; // characters of the longest text, or what the shortest needs where there is none
const MAX_STEPS: u64 = 20_000; // of the search for a text that matches
const LONG_CLASS: usize = 40; // ranges; a longer one is written by what tells it from a well-known one

type Text = Result<String, String>;

pub fn rewrite(pattern: &str, flags: u32) -> Text {
    let ecma = if flags & ECMA != 0 { ecma_to_rust(pattern) } else { pattern.into() };
    let hir = regex_syntax::Parser::new().parse(&ecma).map_err(|e| message(&e))?;
    if weight(&hir) > MAX_WEIGHT {
        return Err("its repetitions are too large".into());
    }
    if flags & BLANK != 0 && !is_blank(&hir) {
        return Err("it matches more than spaces, tabs and line ends".into());
    }
    let printer = Printer { json: flags & JSON != 0, any: any_char_star() };
    let edge = if flags & ECMA != 0 { Edge::Open } else { Edge::Exact };
    let out = printer.edges(&hir, edge, edge)?;
    if out.len() > MAX_BYTES {
        return Err("it is too large".into());
    }
    Ok(out)
}

/// Whether a text matches all of the one and none of the other; an error when it cannot be found out cheaply.
pub fn some_text_matches(all: &[String], none: &[String]) -> Result<bool, String> {
    let regex = |rx: &String| RegexAst::Regex(rx.clone());
    let mut parts: Vec<RegexAst> = all.iter().map(regex).collect();
    parts.extend(none.iter().map(|rx| RegexAst::Not(Box::new(regex(rx)))));
    let mut builder = RegexBuilder::new();
    let expr = builder.mk(&RegexAst::And(parts)).map_err(|e| e.to_string())?;
    let mut automaton = builder.to_regex_limited(expr, MAX_STEPS).map_err(|e| e.to_string())?;
    Ok(!automaton.always_empty())
}

pub const OPEN: i32 = 1;
pub const ESCAPES: i32 = 2;
pub const NULLABLE: i32 = 4;

/// What matters about the end of a regular expression in a JSON string. OPEN: a match may go on with an
/// escape and still match; ESCAPES: it may hold one; NULLABLE: it may be empty. All when in doubt.
pub fn traits(pattern: &str) -> i32 {
    let Ok(hir) = regex_syntax::parse(pattern) else { return OPEN | ESCAPES | NULLABLE };
    let flag = |set: bool, flag: i32| if set { flag } else { 0 };
    flag(is_open(&hir), OPEN) | flag(holds_escape(&hir), ESCAPES) | flag(is_nullable(&hir), NULLABLE)
}

fn is_nullable(hir: &Hir) -> bool {
    hir.properties().minimum_len().unwrap_or(0) == 0
}

fn holds_escape(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().any(|b| needs_escape(char::from(*b))),
        HirKind::Class(class) => to_unicode(class).map_or(true, |mut u| {
            u.intersect(&escaped_class());
            !u.ranges().is_empty()
        }),
        _ => hir.kind().subs().iter().any(holds_escape),
    }
}

fn is_open(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => false,
        HirKind::Repetition(r) => is_open(&r.sub) || (r.max != Some(r.min) && holds_escape(&r.sub)),
        HirKind::Concat(parts) => {
            let tail = parts.iter().rev().position(|p| !is_nullable(p)).map_or(parts.len(), |i| i + 1);
            parts.iter().rev().take(tail).any(is_open)
        }
        _ => hir.kind().subs().iter().any(is_open),
    }
}

// The error without the drawing of the pattern.
fn message(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(e) => e.kind().to_string(),
        regex_syntax::Error::Translate(e) => e.kind().to_string(),
        _ => "it cannot be read".into(),
    }
}

// `\d` and `\w` are ASCII in ECMA-262, and a bracket or a doubled operator in a class is a character.
fn ecma_to_rust(pattern: &str) -> String {
    let mut out = String::new();
    let mut in_class = false;
    let mut chars = pattern.chars().peekable();
    let mut class_starts = false;
    while let Some(c) = chars.next() {
        let first = std::mem::take(&mut class_starts);
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                class_starts = true;
                out.push('[');
            }
            '^' if first => {
                out.push('^');
                class_starts = chars.peek() != Some(&']');
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '[' => out.push_str("\\["),
            '&' | '~' if in_class => out.extend(['\\', c]),
            '-' if in_class && (first || matches!(chars.peek(), Some(']') | Some('-'))) => out.push_str("\\-"),
            _ => out.push(c),
        }
    }
    out
}

fn weight(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 1,
        HirKind::Capture(capture) => weight(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(weight).fold(0, u64::saturating_add),
        HirKind::Alternation(parts) => parts.iter().map(weight).fold(0, u64::saturating_add),
        HirKind::Repetition(r) => {
            let times = u64::from(r.max.unwrap_or(r.min).max(1));
            weight(&r.sub).saturating_mul(times)
        }
    }
}

fn is_blank(hir: &Hir) -> bool {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    match hir.kind() {
        HirKind::Empty => true,
        HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().all(|b| blank(char::from(*b))),
        HirKind::Class(class) => to_unicode(class)
            .map(|u| u.ranges().iter().all(|r| (r.start()..=r.end()).all(blank)))
            .unwrap_or(false),
        HirKind::Capture(capture) => is_blank(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_blank),
        HirKind::Repetition(r) => is_blank(&r.sub),
    }
}

fn to_unicode(class: &Class) -> Result<ClassUnicode, String> {
    match class {
        Class::Unicode(u) => Ok(u.clone()),
        Class::Bytes(b) => b.to_unicode_class().ok_or_else(|| "it matches bytes that are no text".into()),
    }
}

fn any_char_star() -> Hir {
    regex_syntax::parse("(?s:.*)").expect("a constant")
}

// An end of the pattern.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    Inner, // not an end of the text
    Exact, // an end of the text
    Open,  // any text may be beyond
}

struct Printer {
    json: bool,
    any: Hir,
}

impl Printer {
    // Anchors at the ends disappear; where one is missing and the edge is open, any text may stand.
    fn edges(&self, hir: &Hir, start: Edge, end: Edge) -> Text {
        let any = |edge: Edge| if edge == Edge::Open { self.print(&self.any) } else { Ok(String::new()) };
        match hir.kind() {
            HirKind::Alternation(parts) => {
                let parts: Result<Vec<String>, String> = parts.iter().map(|p| self.edges(p, start, end)).collect();
                Ok(format!("(?:{})", parts?.join("|")))
            }
            HirKind::Capture(capture) => self.edges(&capture.sub, start, end),
            HirKind::Concat(parts) => self.sequence(parts, start, end),
            HirKind::Look(Look::Start) if start != Edge::Inner => any(end),
            HirKind::Look(Look::End) if end != Edge::Inner => any(start),
            _ => Ok(any(start)? + &self.group(hir)? + &any(end)?),
        }
    }

    fn sequence(&self, mut parts: &[Hir], mut start: Edge, mut end: Edge) -> Text {
        while let [first, rest @ ..] = parts {
            if start == Edge::Inner || !matches!(first.kind(), HirKind::Look(Look::Start)) {
                break;
            }
            (parts, start) = (rest, Edge::Exact);
        }
        while let [rest @ .., last] = parts {
            if end == Edge::Inner || !matches!(last.kind(), HirKind::Look(Look::End)) {
                break;
            }
            (parts, end) = (rest, Edge::Exact);
        }
        if parts.is_empty() {
            return self.edges(&Hir::empty(), start, end);
        }
        let mut out = String::new();
        for (i, part) in parts.iter().enumerate() {
            let first = if i == 0 { start } else { Edge::Inner };
            let last = if i + 1 == parts.len() { end } else { Edge::Inner };
            out += &self.edges(part, first, last)?;
        }
        Ok(out)
    }

    // One expression for a repetition to follow.
    fn group(&self, hir: &Hir) -> Text {
        let text = self.print(hir)?;
        Ok(match hir.kind() {
            HirKind::Empty | HirKind::Repetition(_) => text,
            HirKind::Class(_) if !self.json => text,
            HirKind::Literal(_) if text.len() <= 1 => text,
            _ => format!("(?:{text})"),
        })
    }

    fn print(&self, hir: &Hir) -> Text {
        match hir.kind() {
            HirKind::Empty => Ok(String::new()),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| "it matches bytes that are no text")?;
                Ok(text.chars().map(|c| self.character(c)).collect())
            }
            HirKind::Class(class) => Ok(self.class(&to_unicode(class)?)),
            HirKind::Look(Look::Start | Look::End) => Err("an anchor stands in its middle".into()),
            HirKind::Look(Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF) => {
                Err("anchors at line ends are not supported".into())
            }
            HirKind::Look(_) => Err("word boundaries are not supported".into()),
            HirKind::Capture(capture) => self.group(&capture.sub),
            HirKind::Concat(parts) => parts.iter().map(|p| self.group(p)).collect(),
            HirKind::Alternation(parts) => {
                let parts: Result<Vec<String>, String> = parts.iter().map(|p| self.print(p)).collect();
                Ok(parts?.join("|"))
            }
            HirKind::Repetition(r) => {
                let times = match (r.min, r.max) {
                    (0, None) => "*".into(),
                    (1, None) => "+".into(),
                    (0, Some(1)) => "?".into(),
                    (min, None) => format!("{{{min},}}"),
                    (min, Some(max)) => format!("{{{min},{max}}}"),
                };
                let body = self.group(&r.sub)?;
                let single = matches!(r.sub.kind(), HirKind::Repetition(_));
                Ok(if single { format!("(?:{body}){times}") } else { format!("{body}{times}") })
            }
        }
    }

    fn character(&self, c: char) -> String {
        if self.json && needs_escape(c) {
            json_escape(c)
        } else {
            plain(c)
        }
    }

    fn class(&self, class: &ClassUnicode) -> String {
        if !self.json {
            return class_text(class);
        }
        let escaped = |c: &char| needs_escape(*c) && class.ranges().iter().any(|r| r.start() <= *c && *c <= r.end());
        let mut options = json_escapes(('\0'..='\\').filter(escaped));
        let mut raw = class.clone();
        raw.difference(&escaped_class());
        if !raw.ranges().is_empty() || options.is_empty() {
            options.insert(0, class_text(&raw));
        }
        options.join("|")
    }
}

fn needs_escape(c: char) -> bool {
    c < ' ' || c == '"' || c == '\\'
}

fn escaped_class() -> ClassUnicode {
    ClassUnicode::new([('\0', '\x1F'), ('"', '"'), ('\\', '\\')].map(|(a, b)| ClassUnicodeRange::new(a, b)))
}

fn json_escape(c: char) -> String {
    json_escapes(std::iter::once(c)).concat()
}

// The short escapes, then \u0000 to \u000F, then \u0010 to \u001F: one alternative each.
fn json_escapes(characters: impl Iterator<Item = char>) -> Vec<String> {
    let (mut short, mut low, mut high) = (String::new(), String::new(), String::new());
    for c in characters {
        match c {
            '"' => short += "\\x22",
            '\\' => short += "\\\\",
            '\n' => short.push('n'),
            '\r' => short.push('r'),
            '\t' => short.push('t'),
            '\x08' => short.push('b'),
            '\x0C' => short.push('f'),
            _ => {
                let digits = if c < '\x10' { &mut low } else { &mut high };
                let digit = u32::from(c) & 15;
                *digits += &format!("{digit:x}");
                if digit > 9 {
                    *digits += &format!("{digit:X}");
                }
            }
        }
    }
    let parts = [("", short), ("u000", low), ("u001", high)];
    let written = parts.into_iter().filter(|(_, set)| !set.is_empty());
    written.map(|(prefix, set)| format!("\\\\{prefix}[{set}]")).collect()
}

fn plain(c: char) -> String {
    if c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '<' | '>' | ',' | ':' | ';' | '=' | '!' | '@' | '%') {
        c.into()
    } else if c.is_ascii() {
        format!("\\x{:02X}", u32::from(c))
    } else {
        format!("\\x{{{:X}}}", u32::from(c))
    }
}

fn ranges_text(class: &ClassUnicode) -> String {
    let mut out = String::new();
    for range in class.ranges() {
        out += &plain(range.start());
        if range.start() != range.end() {
            out.push('-');
            out += &plain(range.end());
        }
    }
    out
}

// `\w` has some 800 ranges; what is near a well-known class is written as that class and the difference.
fn class_text(class: &ClassUnicode) -> String {
    if class.ranges().is_empty() {
        return "[^\\x00-\\x{10FFFF}]".into();
    }
    if class.ranges().len() > LONG_CLASS {
        for (name, known) in known_classes() {
            let mut missing = known.clone();
            missing.difference(class);
            let mut extra = class.clone();
            extra.difference(known);
            if missing.ranges().len() + extra.ranges().len() > LONG_CLASS {
                continue;
            }
            let base = match missing.ranges().is_empty() {
                true => (*name).to_string(),
                false => format!("[{name}--[{}]]", ranges_text(&missing)),
            };
            return format!("[{base}{}]", ranges_text(&extra));
        }
    }
    format!("[{}]", ranges_text(class))
}

fn known_classes() -> &'static [(&'static str, ClassUnicode)] {
    static KNOWN: OnceLock<Vec<(&'static str, ClassUnicode)>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let parse = |name: &'static str| match regex_syntax::parse(name).expect("a constant").kind() {
            HirKind::Class(Class::Unicode(class)) => (name, class.clone()),
            _ => unreachable!("a class"),
        };
        ["\\w", "\\W", "\\d", "\\D", "\\p{L}", "\\P{L}"].map(parse).into()
    })
}
