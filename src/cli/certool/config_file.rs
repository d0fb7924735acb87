//! `certool.cfg`: one `Key = value` a line.

use std::path::Path;

use super::failure::Ending;
use super::fields::Fields;
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::files;
use crate::cli::terminal::Terminal;

/// Reads the file and says so. `/dev/null` is a good file: then every value is on the command line.
pub(in crate::cli) fn read(path: &Path, terminal: &mut Terminal) -> Result<Fields, Ending> {
    let octets = files::read(path).map_err(|error| {
        let mut failure = Failure::because(codes::ARGUMENT_ERROR, &error);
        failure.sentence.insert_str(0, "configuration file: ");
        failure
    })?;
    terminal.out(&format!("Using config file : {}\n", path.display()));
    let text = decode(&octets).map_err(|why| {
        Failure::new(
            codes::ARGUMENT_ERROR,
            format!("{} {why}; save it as UTF-8 text", path.display()),
        )
    })?;
    parse(text).map_err(|(line, why)| {
        Ending::NotUnderstood(format!("{}, line {line}: {why}", path.display()))
    })
}

pub(super) fn decode(octets: &[u8]) -> Result<&str, &'static str> {
    if octets.starts_with(&[0xFF, 0xFE]) || octets.starts_with(&[0xFE, 0xFF]) {
        return Err("is UTF-16 text");
    }
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    match std::str::from_utf8(octets) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("is not UTF-8 text"),
    }
}

/// The values, or the number of the line that is wrong and what is wrong with it.
///
/// A heading in brackets is allowed and changes the keys below it to keys that nobody knows, which is
/// what the original's parser makes of it.
pub(super) fn parse(text: &str) -> Result<Fields, (usize, String)> {
    let mut fields = Fields::default();
    let mut section = None;
    for (line, number) in text.lines().zip(1..) {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        if let Some(heading) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = Some(heading.trim());
            continue;
        }
        let Some((key, value)) = content.split_once('=') else {
            return Err((number, format!("'{content}' is not of the form 'Key = value'")));
        };
        let key = key.trim();
        if let Some(section) = section {
            return Err((
                number,
                format!("unknown key '{section}.{key}'; remove the heading [{section}]"),
            ));
        }
        let place = fields.place(key).ok_or_else(|| {
            (
                number,
                format!("unknown key '{key}'; certool --help=config lists the keys, and their case matters"),
            )
        })?;
        if place.is_some() {
            return Err((
                number,
                format!("the key '{key}' is there twice; remove one of the lines"),
            ));
        }
        *place = Some(value.trim().to_owned());
    }
    Ok(fields)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{decode, parse};

    fn value(text: &str, key: &str) -> Option<String> {
        parse(text).unwrap().place(key).unwrap().clone()
    }

    #[test]
    fn blanks_tabs_comments_and_line_ends_do_not_matter() {
        let text = "# Template\r\n\r\n\t Country = US # not GB\r\nName\t= CA\n  Organization=VMware, Inc. \n";
        assert_eq!(value(text, "Country").unwrap(), "US");
        assert_eq!(value(text, "Name").unwrap(), "CA");
        assert_eq!(value(text, "Organization").unwrap(), "VMware, Inc.");
        assert_eq!(value(text, "State"), None);
        assert_eq!(value("Name = a=b", "Name").unwrap(), "a=b");
        assert_eq!(value("OrgUnit =", "OrgUnit").unwrap(), "");
        assert_eq!(value("", "Name"), None);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, line) in [
            ("Country = US\ncountry = US", 2),
            ("Name = a\n\nName = b", 3),
            ("Name", 1),
            ("[certool]\nName = a", 2),
            ("= a", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn only_utf_8_is_text() {
        assert_eq!(decode(b"\xEF\xBB\xBFName = a").unwrap(), "Name = a");
        assert!(decode(b"\xFF\xFEN\0a\0").unwrap_err().contains("UTF-16"));
        assert!(decode(b"\xFE\xFF\0N\0a").unwrap_err().contains("UTF-16"));
        assert!(decode(b"N\0a\0").is_err());
        assert!(decode(b"Name = B\xFCcher").is_err());
    }
}
