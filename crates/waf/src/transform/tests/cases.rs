//! What each transformation makes of a value.

#![cfg(test)]
//! What each transformation makes of what, one table each.
//!
//! Expectations are libmodsecurity 3.0.9's, but where the family's own words say otherwise.

use super::check;
use crate::Transform;

#[test]
fn base64_decode_keeps_what_stands_before_the_first_foreign_character() {
    check(
        Transform::Base64Decode,
        &[
            (b"", b""),
            (b"YWJj", b"abc"),
            (b"YWI=", b"ab"),
            (b"YQ==", b"a"),
            (b"YWI", b"ab"),
            (b"YQ", b"a"),
            (b"Y", b""),
            (b"YWJj\nZGVm", b"abcdef"),
            (b"YWJj\r\nZGVm", b"abcdef"),
            (b"YWJj!ZGVm", b"abc"),
            (b"YWJj ZGVm", b"abc"),
            (b"!YWJj", b""),
            (b"AAAA", b"\0\0\0"),
            (b"/+8=", b"\xff\xef"),
            (b"_-8=", b""),
            (b"YWJj\0ZGVm", b"abc"),
            (b"PHNjcmlwdD4", b"<script>"),
            (b"=YWJj", b""),
            (b"YW=Jj", b"a"),
        ],
    );
}

#[test]
fn base64_decode_ext_passes_over_foreign_characters() {
    check(
        Transform::Base64DecodeExt,
        &[
            (b"", b""),
            (b"YWJj", b"abc"),
            (b"Y W.J\tj", b"abc"),
            (b"P.HNjcmlwdD4=", b"<script>"),
            (b"YWI=", b"ab"),
            (b"YQ==", b"a"),
            (b"Y===", b""),
            (b"Y=a", b""),
            (b"Y=", b""),
            (b"_-8", b"\xff\xef"),
            (b"/+8", b"\xff\xef"),
            (b"!!!", b""),
            (b"YWJj\0ZGVm", b"abcdef"),
            (b"YW=Jj", b"abc"),
            (b"Y\xffWJj", b"abc"),
        ],
    );
}

#[test]
fn base64_encode_pads() {
    check(
        Transform::Base64Encode,
        &[
            (b"", b""),
            (b"a", b"YQ=="),
            (b"ab", b"YWI="),
            (b"abc", b"YWJj"),
            (b"abcd", b"YWJjZA=="),
            (b"\0", b"AA=="),
            (b"\0\0\0", b"AAAA"),
            (b"\xff\xfe\xfd", b"//79"),
            (b"<script>", b"PHNjcmlwdD4="),
            (b"a\nb", b"YQpi"),
            (b"\xe9", b"6Q=="),
            (b"YQ==", b"WVE9PQ=="),
        ],
    );
}

#[test]
fn cmd_line_takes_out_what_shells_overlook() {
    check(
        Transform::CmdLine,
        &[
            (b"", b""),
            (b"ls", b"ls"),
            (b"LS", b"ls"),
            (b"c^at /etc/pass\"wd\"", b"cat/etc/passwd"),
            (b"a  b", b"a b"),
            (b"a,;\t\r\nb", b"a b"),
            (b"a /b", b"a/b"),
            (b"a (b", b"a(b"),
            (b"a ^ \\ /b", b"a/b"),
            (b"' ' '", b" "),
            (b" /", b"/"),
            (b"\\\"'^", b""),
            (b"a\0B", b"a\0b"),
            (b"a\x0bb", b"a\x0bb"),
            (b"\xc3\x89T", b"\xc3\x89t"),
            (b"C:\\Dir /S", b"c:dir/s"),
        ],
    );
}

#[test]
fn compress_whitespace_leaves_one_blank_of_each_run() {
    check(
        Transform::CompressWhitespace,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"a b", b"a b"),
            (b"a  b", b"a b"),
            (b"a\tb", b"a b"),
            (b"\t\n\x0b\x0c\r ", b" "),
            (b" a ", b" a "),
            (b"  a  ", b" a "),
            (b"a\xa0\xa0b", b"a\xa0\xa0b"),
            (b"a\0 b", b"a\0 b"),
            (b"a \0 b", b"a \0 b"),
            (b"\xff  \xff", b"\xff \xff"),
        ],
    );
}

#[test]
fn css_decode_takes_up_to_six_digits_and_a_space() {
    check(
        Transform::CssDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\\41", b"A"),
            (b"\\41 b", b"Ab"),
            (b"\\41\tb", b"Ab"),
            (b"\\41  b", b"A b"),
            (b"\\4", b"\x04"),
            (b"\\041", b"A"),
            (b"\\0041", b"A"),
            (b"\\000041", b"A"),
            (b"\\0000410", b"A0"),
            (b"\\ff41", b"a"),
            (b"\\0ff41", b"a"),
            (b"\\00ff41", b"a"),
            (b"\\1ff41", b"A"),
            (b"\\ff5f", b"_"),
            (b"\\ff00", b"\0"),
            (b"\\g", b"g"),
            (b"\\\\", b"\\"),
            (b"a\\", b"a"),
            (b"a\\\nb", b"ab"),
            (b"\\\"x\\'", b"\"x'"),
            (b"j\\61 vascript", b"javascript"),
            (b"\\0", b"\0"),
            (b"a\0\\41", b"a\0A"),
        ],
    );
}

#[test]
fn escape_seq_decode_knows_the_escapes_of_c() {
    check(
        Transform::EscapeSeqDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\\n\\t\\r\\a\\b\\f\\v", b"\n\t\r\x07\x08\x0c\x0b"),
            (b"\\\\", b"\\"),
            (b"\\?\\'\\\"", b"?'\""),
            (b"\\x41", b"A"),
            (b"\\X41", b"A"),
            (b"\\x4", b"x4"),
            (b"\\x4g", b"x4g"),
            (b"\\x", b"x"),
            (b"\\101", b"A"),
            (b"\\10", b"\x08"),
            (b"\\1", b"\x01"),
            (b"\\8", b"8"),
            (b"\\777", b"\xff"),
            (b"\\1018", b"A8"),
            (b"\\z", b"z"),
            (b"\\", b"\\"),
            (b"a\\", b"a\\"),
            (b"\\x00\\0", b"\0\0"),
            (b"\\\0", b"\0"),
            (b"\\\xff", b"\xff"),
        ],
    );
}

#[test]
fn hex_decode_takes_two_characters_at_a_time() {
    check(
        Transform::HexDecode,
        &[
            (b"", b""),
            (b"4", b""),
            (b"41", b"A"),
            (b"4142", b"AB"),
            (b"414", b"A"),
            (b"4a4A", b"JJ"),
            (b"00ff", b"\0\xff"),
            (b"zz", b"S"),
            (b"4g", b"P"),
            (b"  ", b"\xf0"),
            (b"\0\0", b"\xd0"),
            (b"\xff\xff", b"("),
            (b"0x41", b"!A"),
        ],
    );
}

#[test]
fn hex_encode_writes_lower_case() {
    check(
        Transform::HexEncode,
        &[
            (b"", b""),
            (b"a", b"61"),
            (b"A", b"41"),
            (b"\0", b"00"),
            (b"\xff", b"ff"),
            (b"\n\xa0", b"0aa0"),
            (b"abc", b"616263"),
            (b" ", b"20"),
            (b"0", b"30"),
            (b"\xe9\x80", b"e980"),
            (b"<>", b"3c3e"),
            (b"41", b"3431"),
        ],
    );
}

#[test]
fn html_entity_decode_needs_no_semicolon() {
    check(
        Transform::HtmlEntityDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"&lt;", b"<"),
            (b"&lt", b"<"),
            (b"&LT;", b"<"),
            (b"&lte", b"&lte"),
            (b"&quot;&amp;&gt;&nbsp;", b"\"&>\xa0"),
            (b"&#65;", b"A"),
            (b"&#65", b"A"),
            (b"&#65a", b"Aa"),
            (b"&#x41;", b"A"),
            (b"&#X41", b"A"),
            (b"&#x41g", b"Ag"),
            (b"&#321;", b"A"),
            (b"&#x141;", b"A"),
            (b"&#;", b"&#;"),
            (b"&#x;", b"&#x;"),
            (b"&#xg", b"&#xg"),
            (b"&", b"&"),
            (b"&&lt;", b"&<"),
            (b"&amp;lt;", b"&lt;"),
            (b"&copy;", b"&copy;"),
            (b"&quotes;", b"&quotes;"),
            (b"&#99999999999999999999;", b"\xff"),
            (b"&#9223372036854775807;", b"\xff"),
            (b"&#x0;", b"\0"),
            (b"&\0lt;", b"&\0lt;"),
            (b"&#0000000000000000000000065;", b"A"),
            (b"&;", b"&;"),
            (b"a&lt\0", b"a<\0"),
        ],
    );
}

#[test]
fn js_decode_knows_the_escapes_of_javascript() {
    check(
        Transform::JsDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\\u0041", b"A"),
            (b"\\u1241", b"A"),
            (b"\\uff41", b"a"),
            (b"\\uFF5E", b"~"),
            (b"\\uff5f", b"_"),
            (b"\\uff00", b"\0"),
            (b"\\u004", b"u004"),
            (b"\\u00", b"u00"),
            (b"\\x41", b"A"),
            (b"\\X41", b"X41"),
            (b"\\x4", b"x4"),
            (b"\\x4g", b"x4g"),
            (b"\\101", b"A"),
            (b"\\377", b"\xff"),
            (b"\\400", b" 0"),
            (b"\\778", b"?8"),
            (b"\\8", b"8"),
            (b"\\n\\t\\r\\a\\b\\f\\v", b"\n\t\r\x07\x08\x0c\x0b"),
            (b"\\\\", b"\\"),
            (b"\\'", b"'"),
            (b"\\", b"\\"),
            (b"a\\", b"a\\"),
            (b"\\\0", b"\0"),
            (b"\\0", b"\0"),
            (b"\\z", b"z"),
        ],
    );
}

#[test]
fn length_is_decimal() {
    check(
        Transform::Length,
        &[
            (b"", b"0"),
            (b"a", b"1"),
            (b"ab", b"2"),
            (b"\0", b"1"),
            (b"\xff\xff", b"2"),
            (b"aaaaaaaaa", b"9"),
            (b"aaaaaaaaaa", b"10"),
            (b"aaaaaaaaaaa", b"11"),
            (b"1", b"1"),
            (b"0", b"1"),
            (b"10", b"2"),
            (b" ", b"1"),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b"100",
            ),
        ],
    );
}

#[test]
fn lowercase_is_of_ascii() {
    check(
        Transform::Lowercase,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"A", b"a"),
            (b"aBc", b"abc"),
            (b"AZ", b"az"),
            (b"@[`{", b"@[`{"),
            (b"\0A", b"\0a"),
            (b"\xc3\x89", b"\xc3\x89"),
            (b"\xc9", b"\xc9"),
            (b"1A", b"1a"),
            (b"A a", b"a a"),
            (b"\0", b"\0"),
        ],
    );
}

#[test]
fn md5_gives_raw_bytes() {
    check(
        Transform::Md5,
        &[
            (b"", b"\xd4\x1d\x8c\xd9\x8f\0\xb2\x04\xe9\x80\t\x98\xec\xf8B~"),
            (b"a", b"\x0c\xc1u\xb9\xc0\xf1\xb6\xa81\xc3\x99\xe2iw&a"),
            (b"abc", b"\x90\x01P\x98<\xd2O\xb0\xd6\x96?}(\xe1\x7fr"),
            (b"message digest", b"\xf9ki}|\xb7\x93\x8dRZ/1\xaa\xf1a\xd0"),
            (b"\0", b"\x93\xb8\x85\xad\xfe\r\xa0\x89\xcd\xf64\x90O\xd5\x9fq"),
            (b"\xff", b"\0YO\xd4\xf4+\xa4?\xc1\xca\x04'\xa0Wb\x95"),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b"\xef\x17r\xb6\xdf\xf9\xa1\"5\x85R\x95J\xd0\xdfe",
            ),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b";\x0c\x8a\xc7\x03\xf8(\xb0Ll\x19p\x06\xd1r\x18",
            ),
            (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"\x01HB\xd4\x80\xb5qIZJ\x03cy?sg"),
            (b"A", b"\x7f\xc5bp\xe7\xa7\x0f\xa8\x1aY5\xb7.\xac\xbe)"),
            (b" ", b"r\x15\xee\x9c}\x9d\xc2)\xd2\x92\x1a@\xe8\x99\xec_"),
            (b"\n", b"h\xb3)\xda\x98\x93\xe3@\x99\xc7\xd8\xad\\\xb9\xc9@"),
        ],
    );
}

#[test]
fn normalize_path_takes_out_empty_and_dot_segments() {
    check(
        Transform::NormalizePath,
        &[
            (b"", b""),
            (b"/", b"/"),
            (b"a", b"a"),
            (b"/a/b", b"/a/b"),
            (b"a//b", b"a/b"),
            (b"//a", b"/a"),
            (b"/a/", b"/a/"),
            (b"/a//", b"/a/"),
            (b"/./a", b"/a"),
            (b"/a/.", b"/a"),
            (b"/a/./", b"/a/"),
            (b"./a", b"a"),
            (b".", b""),
            (b"..", b".."),
            (b"/..", b""),
            (b"/../a", b"/a"),
            (b"../a", b"../a"),
            (b"../../a", b"../../a"),
            (b"a/..", b""),
            (b"a/../", b""),
            (b"/a/..", b""),
            (b"/a/../", b"/"),
            (b"/a/b/../c", b"/a/c"),
            (b"a/../../b", b"../b"),
            (b"/a/../../b", b"/b"),
            (b"/a.b/c", b"/a.b/c"),
            (b"/a../b", b"/b"),
            (b"a...", b""),
            (b"/.../x", b"/x"),
            (b"/a/..b", b"/a/..b"),
            (b"/\0/../a", b"/a"),
            (b"\\a\\..\\b", b"\\a\\..\\b"),
            (b"/dir/foo//bar", b"/dir/foo/bar"),
            (b"dir/./.././../../../foo/bar", b"../../../foo/bar"),
            (b"dir//.//..//.//..//..//..//foo//bar/", b"../../../foo/bar/"),
            (b"///", b"/"),
        ],
    );
}

#[test]
fn normalize_path_win_takes_backslashes_for_slashes() {
    check(
        Transform::NormalizePathWin,
        &[
            (b"", b""),
            (b"\\", b"/"),
            (b"a", b"a"),
            (b"\\a\\b", b"/a/b"),
            (b"a\\b", b"a/b"),
            (b"a\\\\b", b"a/b"),
            (b"C:\\a\\..\\b", b"C:/b"),
            (b"\\a\\.\\b", b"/a/b"),
            (b"a/..\\b", b"b"),
            (b"..\\a", b"../a"),
            (b"\\..\\a", b"/a"),
            (b".\\a", b"a"),
            (b"\\a\\", b"/a/"),
            (b"a\\", b"a/"),
            (b"\\\\server\\share", b"/server/share"),
            (b"\\\0\\..\\a", b"/a"),
            (b"..\\..", b"../.."),
            (b"a\\..\\..\\b", b"../b"),
        ],
    );
}

#[test]
fn parity_even_sets_the_top_bit_of_odd_bytes() {
    check(
        Transform::ParityEven7bit,
        &[
            (b"", b""),
            (b"a", b"\xe1"),
            (b"b", b"\xe2"),
            (b"c", b"c"),
            (b"\0", b"\0"),
            (b"\x7f", b"\xff"),
            (b"\x80", b"\x80"),
            (b"\xff", b"\x7f"),
            (b"abc", b"\xe1\xe2c"),
            (b"\x01", b"\x81"),
            (b"\x03", b"\x03"),
            (b"\xe1", b"a"),
        ],
    );
}

#[test]
fn parity_odd_sets_the_top_bit_of_even_bytes() {
    check(
        Transform::ParityOdd7bit,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"b", b"b"),
            (b"c", b"\xe3"),
            (b"\0", b"\x80"),
            (b"\x7f", b"\x7f"),
            (b"\x80", b"\0"),
            (b"\xff", b"\xff"),
            (b"abc", b"ab\xe3"),
            (b"\x01", b"\x01"),
            (b"\x03", b"\x83"),
            (b"\xe1", b"\xe1"),
        ],
    );
}

#[test]
fn parity_zero_clears_the_top_bit() {
    check(
        Transform::ParityZero7bit,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"b", b"b"),
            (b"c", b"c"),
            (b"\0", b"\0"),
            (b"\x7f", b"\x7f"),
            (b"\x80", b"\0"),
            (b"\xff", b"\x7f"),
            (b"abc", b"abc"),
            (b"\x01", b"\x01"),
            (b"\x83", b"\x03"),
            (b"\xe1", b"a"),
        ],
    );
}

#[test]
fn remove_comments_ends_at_marks_of_line_comments() {
    check(
        Transform::RemoveComments,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"a/*b*/c", b"ac"),
            (b"a/*b", b"a "),
            (b"a/*", b"a "),
            (b"a<!--b-->c", b"ac"),
            (b"a<!--b*/c", b"ac"),
            (b"a/*b-->c", b"ac"),
            (b"a--b", b"a"),
            (b"a-b", b"a-b"),
            (b"a#b", b"a"),
            (b"#", b""),
            (b"--", b""),
            (b"/**/", b""),
            (b"a/*b*/", b"a"),
            (b"/*a*//*b*/c", b"/*b*/c"),
            (b"/*/a", b" "),
            (b"<!-a", b"<!-a"),
            (b"<!--", b" "),
            (b"a/*\0*/b", b"ab"),
            (b"/*a*/-- b", b"-- b"),
        ],
    );
}

#[test]
fn remove_comments_char_takes_out_the_marks_alone() {
    check(
        Transform::RemoveCommentsChar,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"a/*b*/c", b"abc"),
            (b"a/*b", b"ab"),
            (b"a<!--b-->c", b"abc"),
            (b"a--b", b"ab"),
            (b"a-b", b"a-b"),
            (b"a#b", b"ab"),
            (b"#", b""),
            (b"--", b""),
            (b"---", b"-"),
            (b"-->", b""),
            (b"--->", b"->"),
            (b"/**/", b""),
            (b"*/", b""),
            (b"//**", b"/*"),
            (b"/-*", b"/-*"),
            (b"<!-a", b"<!-a"),
            (b"<!--", b""),
            (b"a\0#", b"a\0"),
            (b"/*/", b"/"),
        ],
    );
}

#[test]
fn remove_nulls_takes_out_every_nul() {
    check(
        Transform::RemoveNulls,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\0", b""),
            (b"a\0", b"a"),
            (b"\0a", b"a"),
            (b"a\0b", b"ab"),
            (b"\0\0\0", b""),
            (b"a\0\0b", b"ab"),
            (b"\x01", b"\x01"),
            (b"0", b"0"),
            (b"\xff\0", b"\xff"),
            (b"\\0", b"\\0"),
        ],
    );
}

#[test]
fn remove_whitespace_takes_out_no_break_spaces_too() {
    check(
        Transform::RemoveWhitespace,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b" ", b""),
            (b"a b", b"ab"),
            (b"\t\n\x0b\x0c\r ", b""),
            (b"a\xa0b", b"ab"),
            (b"\xc2\xa0", b""),
            (b"\xc3\xa0", b"\xc3"),
            (b"a\0b", b"a\0b"),
            (b"a\x85b", b"a\x85b"),
            (b"  a  ", b"a"),
            (b"a\x1cb", b"a\x1cb"),
            (b"\xff \xff", b"\xff\xff"),
        ],
    );
}

#[test]
fn replace_comments_puts_a_blank_for_each_comment() {
    check(
        Transform::ReplaceComments,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"a/*b*/c", b"a c"),
            (b"a/*b", b"a "),
            (b"a/*", b"a "),
            (b"/**/", b" "),
            (b"/*/", b" "),
            (b"/*/*/", b" "),
            (b"a/*b*//*c*/d", b"a  d"),
            (b"a*/b", b"a*/b"),
            (b"/", b"/"),
            (b"*", b"*"),
            (b"a//b", b"a//b"),
            (b"a/*\0*/b", b"a b"),
            (b"un/**/ion", b"un ion"),
            (b"--", b"--"),
            (b"/*a*/*/", b" */"),
        ],
    );
}

#[test]
fn replace_nulls_puts_blanks() {
    check(
        Transform::ReplaceNulls,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\0", b" "),
            (b"a\0", b"a "),
            (b"\0a", b" a"),
            (b"a\0b", b"a b"),
            (b"\0\0\0", b"   "),
            (b"a\0\0b", b"a  b"),
            (b"\x01", b"\x01"),
            (b" ", b" "),
            (b"\xff\0", b"\xff "),
            (b"\\0", b"\\0"),
        ],
    );
}

#[test]
fn sha1_gives_raw_bytes() {
    check(
        Transform::Sha1,
        &[
            (b"", b"\xda9\xa3\xee^kK\r2U\xbf\xef\x95`\x18\x90\xaf\xd8\x07\t"),
            (b"a", b"\x86\xf7\xe47\xfa\xa5\xa7\xfc\xe1]\x1d\xdc\xb9\xea\xea\xea7vg\xb8"),
            (b"abc", b"\xa9\x99>6G\x06\x81j\xba>%qxP\xc2l\x9c\xd0\xd8\x9d"),
            (b"message digest", b"\xc1\"R\xce\xda\x8b\xe8\x99M_\xa0)\nG#\x1c\x1d\x16\xaa\xe3"),
            (b"\0", b"[\xa9<\x9d\xb0\xcf\xf9?R\xb5!\xd7B\x0eC\xf6\xed\xa2xO"),
            (b"\xff", b"\x85\xe52q\xe1@\x06\xf0&Y!\xd0-Msl\xdcX\x0b\x0b"),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b"\xc1\xc8\xbb\xdc\"yn(\xc0\xe1Qc\xd2\x08\x99\xb6V!\xd6Z",
            ),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b"\xc2\xdb3\x0f`\x83\x85L\x99\xd4\xb5\xbf\xb6\xe8\xf2\x9f \x1b\xe6\x99",
            ),
            (
                b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                b"\0\x98\xba\x82K\\\x16B{\xd7\xa1\x12*ZD*%\xecdM",
            ),
            (b"A", b"m\xcdL\xe2=\x88\xe2\xee\x95h\xbaTl\0|c\xd9\x13\x1c\x1b"),
            (b" ", b"\xb8X\xcb(&\x17\xfb\tV\xd9`!\\\x8e\x84\xd1\xcc\xf9\t\xc6"),
            (b"\n", b"\xad\xc8;\x19\xe7\x93I\x1b\x1cn\xa0\xfd\x8bF\xcd\x9f2\xe5\x92\xfc"),
        ],
    );
}

#[test]
fn sql_hex_decode_opens_hexadecimal_strings() {
    check(
        Transform::SqlHexDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"0", b"0"),
            (b"0x", b"0x"),
            (b"0x4", b"0x4"),
            (b"0x41", b"A"),
            (b"0X41", b"A"),
            (b"0x414", b"A4"),
            (b"0x4142 0x43", b"AB C"),
            (b"x41", b"x41"),
            (b"00x41", b"0A"),
            (b"0x0x41", b"0xA"),
            (b"0xg1", b"0xg1"),
            (b"a0x41b", b"aAb"),
            (b"0x4g", b"0x4g"),
            (b"0x00", b"\0"),
            (b"\x000x41", b"\0A"),
            (b"1 or 0x61646d696e", b"1 or admin"),
        ],
    );
}

#[test]
fn trim_takes_white_space_from_both_ends() {
    check(
        Transform::Trim,
        &[
            (b"", b""),
            (b" ", b""),
            (b"a", b"a"),
            (b" a", b"a"),
            (b"a ", b"a"),
            (b" a b ", b"a b"),
            (b"\t\n\x0b\x0c\ra\r\n", b"a"),
            (b"\xa0a\xa0", b"\xa0a\xa0"),
            (b"\0 a", b"\0 a"),
            (b" \0 ", b"\0"),
            (b"  \t", b""),
            (b"a\n b", b"a\n b"),
        ],
    );
}

#[test]
fn trim_left_takes_white_space_from_the_front() {
    check(
        Transform::TrimLeft,
        &[
            (b"", b""),
            (b" ", b""),
            (b"a", b"a"),
            (b" a", b"a"),
            (b"a ", b"a "),
            (b" a b ", b"a b "),
            (b"\t\n\x0b\x0c\ra\r\n", b"a\r\n"),
            (b"\xa0a\xa0", b"\xa0a\xa0"),
            (b"\0 a", b"\0 a"),
            (b" \0 ", b"\0 "),
            (b"  \t", b""),
            (b"a\n b", b"a\n b"),
        ],
    );
}

#[test]
fn trim_right_takes_white_space_from_behind() {
    check(
        Transform::TrimRight,
        &[
            (b"", b""),
            (b" ", b""),
            (b"a", b"a"),
            (b" a", b" a"),
            (b"a ", b"a"),
            (b" a b ", b" a b"),
            (b"\t\n\x0b\x0c\ra\r\n", b"\t\n\x0b\x0c\ra"),
            (b"\xa0a\xa0", b"\xa0a\xa0"),
            (b"\0 a", b"\0 a"),
            (b" \0 ", b" \0"),
            (b"  \t", b""),
            (b"a\n b", b"a\n b"),
        ],
    );
}

#[test]
fn uppercase_is_of_ascii() {
    check(
        Transform::Uppercase,
        &[
            (b"", b""),
            (b"a", b"A"),
            (b"A", b"A"),
            (b"aBc", b"ABC"),
            (b"az", b"AZ"),
            (b"@[`{", b"@[`{"),
            (b"\0a", b"\0A"),
            (b"\xc3\xa9", b"\xc3\xa9"),
            (b"\xe9", b"\xe9"),
            (b"1a", b"1A"),
            (b"A a", b"A A"),
            (b"\0", b"\0"),
        ],
    );
}

#[test]
fn url_decode_leaves_what_is_no_escape() {
    check(
        Transform::UrlDecode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"+", b" "),
            (b"%41", b"A"),
            (b"%4", b"%4"),
            (b"%", b"%"),
            (b"%%41", b"%A"),
            (b"%4g", b"%4g"),
            (b"%g4", b"%g4"),
            (b"%00", b"\0"),
            (b"%ff", b"\xff"),
            (b"%FF", b"\xff"),
            (b"a%20b+c", b"a b c"),
            (b"%2541", b"%41"),
            (b"%u0041", b"%u0041"),
            (b"\0%41", b"\0A"),
            (b"%\x001", b"%\x001"),
        ],
    );
}

#[test]
fn url_decode_uni_folds_code_units_to_bytes() {
    check(
        Transform::UrlDecodeUni,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"+", b" "),
            (b"%41", b"A"),
            (b"%4", b"%4"),
            (b"%", b"%"),
            (b"%%41", b"%A"),
            (b"%4g", b"%4g"),
            (b"%00", b"\0"),
            (b"%u0041", b"A"),
            (b"%U0041", b"A"),
            (b"%u1241", b"A"),
            (b"%uff1c", b"<"),
            (b"%uFF5E", b"~"),
            (b"%uff5f", b"_"),
            (b"%uff00", b"\0"),
            (b"%u004", b"%u004"),
            (b"%u", b"%u"),
            (b"%u00g1", b"%u00g1"),
            (b"%uu0041", b"%uu0041"),
            (b"%u%41", b"%uA"),
            (b"%u0000", b"\0"),
            (b"%2541", b"%41"),
            (b"%u002541", b"%41"),
            (b"\0%u0041", b"\0A"),
        ],
    );
}

#[test]
fn url_encode_keeps_letters_digits_and_stars() {
    check(
        Transform::UrlEncode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b" ", b"+"),
            (b"a b", b"a+b"),
            (b"*", b"*"),
            (b"-._~", b"%2d%2e%5f%7e"),
            (b"/", b"%2f"),
            (b"%41", b"%2541"),
            (b"+", b"%2b"),
            (b"\0", b"%00"),
            (b"\xff", b"%ff"),
            (b"\xc3\xa9", b"%c3%a9"),
            (b"A0z", b"A0z"),
            (b"<>", b"%3c%3e"),
        ],
    );
}

#[test]
fn utf8_to_unicode_writes_code_points() {
    check(
        Transform::Utf8ToUnicode,
        &[
            (b"", b""),
            (b"a", b"a"),
            (b"\xc3\xa9", b"%u00e9"),
            (b"\xe2\x82\xac", b"%u20ac"),
            (b"\xf0\x9f\x98\x80", b"%u1f600"),
            (b"a\xc3\xa9b", b"a%u00e9b"),
            (b"\xc3", b""),
            (b"\xc3a", b"a"),
            (b"\xe2\x82", b"\x82"),
            (b"\xe2\x82a", b"\x82a"),
            (b"\xf0\x9f\x98", b"\x9f\x98"),
            (b"\x80", b"\x80"),
            (b"\xff", b"\xff"),
            (b"\xf8", b"\xf8"),
            (b"\xc0\xaf", b"%u002f\xc0"),
            (b"\xe0\x80\xaf", b"%u002f\xe0"),
            (b"\xf0\x80\x80\xaf", b"%u002f\xf0"),
            (b"\xed\xa0\x80", b"%ud800\xed"),
            (b"\xf4\x90\x80\x80", b"%u110000"),
            (b"\xf5\x80\x80\x80", b"\xf5%u140000"),
            (b"\xf7\xbf\xbf\xbf", b"\xf7%u1fffff"),
            (b"\xf5", b"\xf5"),
            (b"a\0b", b"ab"),
            (b"\0", b""),
            (b"\xc3\0", b""),
        ],
    );
}

#[test]
fn code_that_a_text_shows_is_left_out_of_it() {
    check(
        Transform::WithoutMarkdownCode,
        &[
            (b"", b""),
            (b"`", b"`"),
            (b"please call `sleep(5)` here", b"please call   here"),
            (b"see `a(b)`, (`c[d]`) and so on", b"see  , ( ) and so on"),
            (b"two words ``a ` b()`` more", b"two words   more"),
            (b"it is:\n```sh\nrm -rf /\n```\nbeware", b"it is:\n \nbeware"),
            // Names stay, and so does what no text stands around.
            (b"select `user` from `table`", b"select `user` from `table`"),
            (b"`rm -rf /`", b"`rm -rf /`"),
            (b"x `id;ls` 1 2 3", b"x `id;ls` 1 2 3"),
            (b"127.0.0.1`id -a`", b"127.0.0.1`id -a`"),
            // Nothing opens within a word, closes before one, or goes on over a line.
            (b"two words a`b()` c", b"two words a`b()` c"),
            (b"two words `b()`c", b"two words `b()`c"),
            (b"two words `b(\n)` c", b"two words `b(\n)` c"),
            (b"two words ```b() and on", b"two words ```b() and on"),
            ("w\u{f6}rter davor `a()`".as_bytes(), "w\u{f6}rter davor  ".as_bytes()),
        ],
    );
}
