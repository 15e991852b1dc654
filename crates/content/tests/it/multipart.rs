//! Multipart: parts, names, files, and every deviation that parsers read differently.

use bartizan_content::{Format, Kind, Limits, decode};

use crate::{faults, outline};

const CONTENT_TYPE: &str = "multipart/form-data; boundary=B";

/// Decodes a body whose line feeds are sent as CR LF and compares its names, values and faults.
#[track_caller]
fn check(content_type: &str, body: &str, parts: &[(&str, &str)], expected: &[&str]) {
    check_bytes(content_type, body.replace('\n', "\r\n").as_bytes(), parts, expected);
}

#[track_caller]
fn check_bytes(content_type: &str, body: &[u8], parts: &[(&str, &str)], expected: &[&str]) {
    let limits = Limits::default();
    let content = decode(Format::Multipart(content_type.as_bytes()), body, &limits);
    // That lines end as they should is noted only for the mixture to be seen.
    let found: Vec<_> = faults(&content).into_iter().filter(|&name| name != "multipart_crlf_line").collect();
    assert_eq!(found, expected, "{}", body.escape_ascii());
    let found: Vec<_> = content
        .roots()
        .map(|part| (part.key().escape_ascii().to_string(), part.value().escape_ascii().to_string()))
        .collect();
    let found: Vec<_> = found.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(found, parts, "{}", body.escape_ascii());
}

/// A body of one part with these header lines.
fn part(headers: &str) -> String {
    format!("--B\n{headers}\n\n1\n--B--\n")
}

#[test]
fn parts_have_names_files_and_header_lines() {
    let body = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\ncontent-disposition:form-data; \
                name=f; filename=\"x.txt\"\r\nContent-Type: text/plain \r\n\r\nline\r\nline\r\n\r\n--B--\r\n";
    let limits = Limits::default();
    let content = decode(Format::Multipart(CONTENT_TYPE.as_bytes()), body.as_bytes(), &limits);
    assert_eq!(faults(&content), ["multipart_crlf_line"]);
    assert_eq!(
        outline(&content),
        r#"Field a = 1
  Header Content-Disposition = form-data; name=\"a\"
File f = line\r\nline\r\n
  Header content-disposition = form-data; name=f; filename=\"x.txt\"
  Filename = x.txt
  Header Content-Type = text/plain
"#
    );
    let file = content.of_kind(Kind::File).next().unwrap();
    assert_eq!(file.filename(), Some(&b"x.txt"[..]));
    assert_eq!(file.header(b"content-TYPE"), Some(&b"text/plain"[..]));
    assert_eq!(file.headers().last().map(|header| header.raw()), Some(&b"Content-Type: text/plain "[..]));
    assert_eq!(content.leaves().count(), 1);
}

#[test]
fn delimiters_are_lines() {
    check(CONTENT_TYPE, "--B--\n", &[], &[]);
    check(CONTENT_TYPE, "--B--", &[], &[]);
    check(CONTENT_TYPE, "--B\nContent-Disposition: form-data; name=a\n\n--B--", &[("a", "")], &[]);
    check(CONTENT_TYPE, "--B\nContent-Disposition: form-data; name=a\n\n\n--B--", &[("a", "")], &[]);
    check(CONTENT_TYPE, "--B\nContent-Disposition: form-data; name=a\n\n\n\n--B--", &[("a", "\\r\\n")], &[]);
    check(
        CONTENT_TYPE,
        &format!("x\n{}", part("Content-Disposition: form-data; name=a")),
        &[("a", "1")],
        &["multipart_data_before"],
    );
    check(
        CONTENT_TYPE,
        &format!("{}x", part("Content-Disposition: form-data; name=a")),
        &[("a", "1")],
        &["multipart_data_after"],
    );
    check(CONTENT_TYPE, "--C\n--B--\n", &[], &["multipart_data_before", "multipart_delimiter_inside"]);
    check(CONTENT_TYPE, "--B--\n--B\n", &[], &["multipart_data_after", "multipart_unmatched_boundary"]);
    check(CONTENT_TYPE, "", &[], &["multipart_no_final_boundary"]);
    check(CONTENT_TYPE, "x", &[], &["multipart_no_final_boundary"]);
    check(
        CONTENT_TYPE,
        "--B\nContent-Disposition: form-data; name=a\n\n1",
        &[("a", "1")],
        &["multipart_no_final_boundary"],
    );
    check(
        CONTENT_TYPE,
        "--B\nContent-Disposition: form-data; name=a\n\n1\n--B",
        &[("a", "1\\r\\n--B")],
        &["multipart_bad_boundary", "multipart_unmatched_boundary", "multipart_no_final_boundary"],
    );
    check(
        CONTENT_TYPE,
        "--B\nContent-Disposition: form-data; name=a\n\n1\n--Bx\n2\n--B--",
        &[("a", "1\\r\\n--Bx\\r\\n2")],
        &["multipart_bad_boundary", "multipart_delimiter_inside"],
    );
    check(
        CONTENT_TYPE,
        "--B \nContent-Disposition: form-data; name=a\n\n1\n--B--",
        &[("a", "1")],
        &["multipart_bad_boundary"],
    );
    check(
        CONTENT_TYPE,
        "--B\nContent-Disposition: form-data; name=a\n\nx --B\n--B--",
        &[("a", "x --B")],
        &["multipart_delimiter_inside"],
    );
}

#[test]
fn bare_line_feeds_are_noted() {
    let body = part("Content-Disposition: form-data; name=a");
    check_bytes(CONTENT_TYPE, body.as_bytes(), &[("a", "1")], &["multipart_lf_line"]);
    check_bytes(CONTENT_TYPE, body.replacen('\n', "\r\n", 2).as_bytes(), &[("a", "1")], &["multipart_lf_line"]);
}

#[test]
fn boundaries_are_read_as_servers_read_them() {
    let body = part("Content-Disposition: form-data; name=a");
    let a: &[(&str, &str)] = &[("a", "1")];
    check("multipart/form-data; boundary=\"B\"", &body, a, &["multipart_boundary_quoted"]);
    check("multipart/form-data; boundary = B", &body, a, &["multipart_boundary_whitespace"]);
    check("multipart/form-data boundary=B", &body, a, &["multipart_missing_semicolon"]);
    check("multipart/form-data; charset=utf-8; boundary=B; x=y", &body, a, &[]);
    check("multipart/form-data; BOUNDARY=B", &body, a, &[]);
    check("multipart/form-data; boundary=\"B", &body, a, &["multipart_boundary_quoted", "multipart_bad_boundary"]);
    check("multipart/form-data; boundary=B; boundary=C", &body, a, &["multipart_bad_boundary"]);
    check("multipart/form-data; boundary=", &body, &[], &["multipart_no_boundary"]);
    check("multipart/form-data", &body, &[], &["multipart_no_boundary"]);
    check("multipart/form-data; boundary", &body, &[], &["multipart_no_boundary"]);
    check("multipart/form-data; boundary*0=B", &body, &[], &["multipart_no_boundary"]);
}

#[test]
fn dispositions_are_read_as_servers_read_them() {
    let a: &[(&str, &str)] = &[("a", "1")];
    check(CONTENT_TYPE, &part("CONTENT-DISPOSITION: FORM-DATA; NAME=a"), a, &[]);
    check(CONTENT_TYPE, &part("Content-Disposition: form-data; name='a'"), a, &["multipart_invalid_quoting"]);
    check(
        CONTENT_TYPE,
        &part("Content-Disposition: form-data; name=\"it's\""),
        &[("it\\'s", "1")],
        &["multipart_invalid_quoting"],
    );
    check(CONTENT_TYPE, &part("Content-Disposition: form-data; name=\"a\\\"\\\\b\""), &[("a\\\"\\\\b", "1")], &[]);
    check(CONTENT_TYPE, &part("Content-Disposition: form-data; name=a; name=b"), a, &["multipart_duplicate_name"]);
    check(
        CONTENT_TYPE,
        &part("Content-Disposition: form-data; name=\"a"),
        &[("", "1")],
        &["multipart_bad_disposition", "multipart_invalid_part"],
    );
    check(
        CONTENT_TYPE,
        &part("Content-Disposition: form-data; name=\"a\"b"),
        a,
        &["multipart_invalid_quoting", "multipart_bad_disposition"],
    );
    check(CONTENT_TYPE, &part("Content-Disposition: form-data; name=a; size=1"), a, &["multipart_bad_disposition"]);
    check(CONTENT_TYPE, &part("Content-Disposition: attachment; name=a"), a, &["multipart_bad_disposition"]);
    check(CONTENT_TYPE, &part("Content-Disposition: form-data"), &[("", "1")], &["multipart_invalid_part"]);
    check(CONTENT_TYPE, &part("Content-Disposition: form-data; name=\"\""), &[("", "1")], &["multipart_invalid_part"]);
    check(
        CONTENT_TYPE,
        &part("Content-Type: text/plain"),
        &[("", "1")],
        &["multipart_bad_disposition", "multipart_invalid_part"],
    );
    check("multipart/mixed; boundary=B", &part("Content-Type: text/plain"), &[("", "1")], &[]);
}

#[test]
fn header_lines_are_checked() {
    const D: &str = "Content-Disposition: form-data; name=a";
    let a: &[(&str, &str)] = &[("a", "1")];
    check(CONTENT_TYPE, &part("Content-Disposition: form-data;\n name=a"), a, &["multipart_header_folding"]);
    check(
        CONTENT_TYPE,
        &part("Content-Disposition: form-data;\n\u{b}name=a"),
        a,
        &["multipart_header_folding", "multipart_invalid_header_folding"],
    );
    check(CONTENT_TYPE, &part(&format!("{D}\n{D}")), a, &["multipart_duplicate_name", "multipart_duplicate_header"]);
    check(CONTENT_TYPE, &part(&format!("{D}\nx")), a, &["multipart_bad_header"]);
    check(CONTENT_TYPE, &part(&format!("{D}\n: x")), a, &["multipart_bad_header"]);
    check(CONTENT_TYPE, &part(&format!(" x: y\n{D}")), a, &["multipart_bad_header"]);
    check(CONTENT_TYPE, &part(&format!("{D}\nx: \0")), a, &["multipart_bad_header"]);
    check(CONTENT_TYPE, &format!("--B\n{D}\n--B--\n"), &[("a", "")], &["multipart_bad_header"]);
    check(CONTENT_TYPE, "--B\n\n1\n--B--\n", &[("", "1")], &["multipart_bad_disposition", "multipart_invalid_part"]);
}

#[test]
fn file_names_come_in_every_form() {
    let filename = |parameter: &str| {
        let body = part(&format!("Content-Disposition: form-data; name=a; {parameter}")).replace('\n', "\r\n");
        let limits = Limits::default();
        let content = decode(Format::Multipart(CONTENT_TYPE.as_bytes()), body.as_bytes(), &limits);
        let file = content.of_kind(Kind::File).next();
        file.and_then(|file| file.filename()).map(|name| String::from_utf8_lossy(name).into_owned())
    };
    assert_eq!(filename("filename=x.php").as_deref(), Some("x.php"));
    assert_eq!(filename("filename=\"\"").as_deref(), Some(""));
    assert_eq!(filename("filename=\"C:\\dir\\x.php\"").as_deref(), Some("C:\\dir\\x.php"));
    assert_eq!(filename("filename=\"a;b\\\"c\"").as_deref(), Some("a;b\"c"));
    assert_eq!(filename("filename*=utf-8''x%2ephp").as_deref(), Some("x.php"));
    assert_eq!(filename("file=x.php"), None);
}

#[test]
fn every_limit_stops_decoding() {
    #[track_caller]
    fn check(set: impl Fn(&mut Limits), name: &str) {
        let body = "--B\r\nContent-Disposition: form-data; name=abc; filename=abc\r\nX: y\r\n\r\n1\r\n--B\r\n\
                    Content-Disposition: form-data; name=d; filename=e\r\n\r\n2\r\n--B\r\n\
                    Content-Disposition: form-data; name=f\r\n\r\n345\r\n--B--";
        let mut limits = Limits::default();
        let format = Format::Multipart(b"multipart/form-data; boundary=B");
        assert_eq!(decode(format, body.as_bytes(), &limits).stopped(), None);
        set(&mut limits);
        let content = decode(format, body.as_bytes(), &limits);
        assert_eq!(content.stopped().map(|fault| fault.name()), Some(name));
    }
    check(|limits| limits.multipart_part_count = 2, "multipart_part_count");
    check(|limits| limits.multipart_file_count = 1, "multipart_file_count");
    check(|limits| limits.multipart_part_header_count = 1, "multipart_part_header_count");
    check(|limits| limits.multipart_part_header_length = 60, "multipart_part_header_length");
    check(|limits| limits.multipart_boundary_length = 0, "multipart_boundary_length");
    check(|limits| limits.multipart_name_length = 2, "multipart_name_length");
    check(|limits| limits.multipart_filename_length = 2, "multipart_filename_length");
    check(|limits| limits.multipart_field_length = 2, "multipart_field_length");
}
