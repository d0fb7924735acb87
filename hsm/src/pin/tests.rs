#![allow(clippy::unwrap_used)]
use super::*;
use std::os::fd::AsRawFd;

#[test]
fn sources_survive_their_text() {
    for text in ["file:/run/pin", "fd:7", "credential:ca-pin", "prompt"] {
        let source: PinSource = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        // As a configuration file holds it.
        assert_eq!(String::from(source), text);
    }
}

#[test]
fn anything_else_is_refused_without_being_repeated() {
    for text in ["1234hunter2", "file:", "fd:x", "fd:-1", "credential:../x", "pin:1234hunter2"] {
        let Err(Error::Refused(fault)) = text.parse::<PinSource>() else {
            panic!("{text} was accepted")
        };
        assert!(!fault.to_string().contains("hunter2"));
    }
}

#[test]
fn random_pins_are_long_and_differ() {
    let (one, two) = (Pin::random().unwrap(), Pin::random().unwrap());
    assert_eq!(one.expose_secret().len(), 48);
    assert_ne!(one.expose_secret(), two.expose_secret());
    assert_eq!(format!("{one:?}"), "Pin(..)");
}

fn pin_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PinSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pin");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, PinSource::File(path))
}

#[test]
fn a_private_file_is_read_without_its_line_end() {
    for content in [&b"secret"[..], b"secret\n", b"secret\r\n"] {
        let (_folder, source) = pin_file(content, 0o600);
        assert_eq!(source.read().unwrap().expose_secret(), "secret");
    }
}

#[test]
fn a_file_open_to_others_is_refused() {
    for mode in [0o640, 0o604, 0o620, 0o666] {
        let (_folder, source) = pin_file(b"secret", mode);
        let Err(Error::Refused(fault)) = source.read() else {
            panic!("mode {mode:o} was accepted")
        };
        assert!(fault.to_string().contains("chmod 600"));
    }
}

#[test]
fn text_that_is_no_pin_is_refused() {
    for content in [&b""[..], b"\n", b"a\nb", b"\xff\xfe", &[b'x'; LONGEST + 1]] {
        let (_folder, source) = pin_file(content, 0o600);
        assert!(matches!(source.read(), Err(Error::Refused(_))));
    }
}

#[test]
fn the_longest_pin_is_taken_and_only_one_line_end_is_cut_off() {
    let longest = "x".repeat(LONGEST);
    let (_folder, source) = pin_file(longest.as_bytes(), 0o600);
    assert_eq!(source.read().unwrap().expose_secret(), longest);
    for content in [&b"secret\r"[..], b"secret\n\n", b"secret\r\r\n", b"\r\n"] {
        let (_folder, source) = pin_file(content, 0o600);
        assert!(matches!(source.read(), Err(Error::Refused(_))), "{content:?}");
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let Err(Error::Refused(fault)) = PinSource::File(folder.path().into()).read() else {
        panic!("a folder was accepted")
    };
    assert!(fault.to_string().contains("regular file"), "{fault}");
}

#[test]
fn a_person_and_a_pipe_answer_once() {
    for (text, again) in
        [("file:/p", true), ("credential:p", true), ("fd:3", false), ("prompt", false)]
    {
        assert_eq!(text.parse::<PinSource>().unwrap().is_repeatable(), again, "{text}");
    }
}

#[test]
fn a_credential_is_a_plain_name_and_needs_its_folder() {
    for text in ["credential:", "credential:.", "credential:..", "credential:a/b", "credential:a\0"]
    {
        assert!(text.parse::<PinSource>().is_err(), "{text}");
    }
    // Nobody sets the variable for a test: changing the environment is not safe among threads.
    assert!(std::env::var_os("CREDENTIALS_DIRECTORY").is_none());
    let Err(Error::Unavailable(fault)) = PinSource::Credential("ca-pin".into()).read() else {
        panic!("there is no such folder")
    };
    assert!(fault.to_string().contains("LoadCredential=ca-pin"), "{fault}");
}

#[test]
fn a_random_pin_is_written_in_hexadecimal_digits_and_kept_apart() {
    let pin = Pin::random().unwrap();
    let text = pin.expose_secret();
    assert!(text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)));
    let different: std::collections::BTreeSet<_> = text.bytes().collect();
    assert!(different.len() > 4, "{} different digits", different.len());
    assert_eq!(Pin::new(Zeroizing::new(text.to_owned())).expose_secret(), text);
}

#[test]
fn a_missing_file_may_come_back() {
    let source = PinSource::File("/nonexistent/pin".into());
    assert!(matches!(source.read(), Err(Error::Unavailable(_))));
}

#[test]
fn a_descriptor_is_read_to_its_end() {
    let (_folder, source) = pin_file(b"secret\n", 0o600);
    let PinSource::File(path) = source else { unreachable!() };
    let file = File::open(path).unwrap();
    let source = PinSource::Descriptor(file.as_raw_fd());
    assert_eq!(source.read().unwrap().expose_secret(), "secret");
}

#[test]
fn only_one_line_of_standard_input_is_taken() {
    let mut input = &b"secret\nthe next line"[..];
    let pin = read_text(&mut input, &PinSource::Prompt, Extent::Line).unwrap();
    assert_eq!(pin.expose_secret(), "secret");
    assert_eq!(input, b"the next line");
}
