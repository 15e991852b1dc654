//! Transformations: each takes bytes and gives bytes, in linear time.
//!
//! What they do is what libmodsecurity 3.0.9 does, byte for byte (compared with it on generated values), but where that is an
//! accident of C strings: nothing here ends at a NUL, reads past the end or drops the last byte. Each family says where it differs.
//! `withoutMarkdownCode` is our own.
//!
//! Sources: ModSecurity Reference Manual (v3.x), "Transformation functions"; libmodsecurity 3.0.9, observed.

mod base64;
mod byte_set;
mod case;
mod cmdline;
mod comments;
mod css;
mod digest;
mod escape;
mod hex;
mod html;
mod js;
mod markdown;
mod nulls;
mod parity;
mod path;
mod percent;
mod space;
mod sql_hex;
#[cfg(test)]
mod tests;
mod utf8;

pub(crate) use byte_set::ByteSet;

/// When a transformation may change a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A value without any of these bytes stays as it is
    Bytes(ByteSet),
    /// Any value may change
    Always,
}

macro_rules! transforms {
    ($($variant:ident $name:literal $(| $alias:literal)*,)*) => {
        /// A transformation, by SecLang's name without `t:`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the names are SecLang's")]
        pub enum Transform {
            $($variant,)*
        }

        impl Transform {
            /// Every transformation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Every spelling that [`Transform::of_name`] knows.
            const SPELLINGS: &[(&str, Self)] = &[$(($name, Self::$variant), $(($alias, Self::$variant),)*)*];

            /// The name in rules.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

transforms! {
    Base64Decode "base64Decode",
    Base64DecodeExt "base64DecodeExt",
    Base64Encode "base64Encode",
    CmdLine "cmdLine" | "cmd_line",
    CompressWhitespace "compressWhitespace" | "compress_whitespace",
    CssDecode "cssDecode",
    EscapeSeqDecode "escapeSeqDecode",
    HexDecode "hexDecode",
    HexEncode "hexEncode",
    HtmlEntityDecode "htmlEntityDecode",
    JsDecode "jsDecode",
    Length "length",
    Lowercase "lowercase",
    Md5 "md5",
    NormalizePath "normalizePath" | "normalisePath",
    NormalizePathWin "normalizePathWin" | "normalisePathWin",
    ParityEven7bit "parityEven7bit",
    ParityOdd7bit "parityOdd7bit",
    ParityZero7bit "parityZero7bit",
    RemoveComments "removeComments",
    RemoveCommentsChar "removeCommentsChar",
    RemoveNulls "removeNulls",
    RemoveWhitespace "removeWhitespace",
    ReplaceComments "replaceComments",
    ReplaceNulls "replaceNulls",
    Sha1 "sha1",
    SqlHexDecode "sqlHexDecode",
    Trim "trim",
    TrimLeft "trimLeft",
    TrimRight "trimRight",
    Uppercase "uppercase",
    UrlDecode "urlDecode",
    UrlDecodeUni "urlDecodeUni",
    UrlEncode "urlEncode",
    Utf8ToUnicode "utf8toUnicode",
    WithoutMarkdownCode "withoutMarkdownCode",
}

/// PERF: asked for every value; made once.
#[expect(clippy::indexing_slicing, reason = "const code has no iterators; an index out of bounds would not compile")]
static TRIGGERS: [Trigger; Transform::ALL.len()] = {
    let mut triggers = [Trigger::Always; Transform::ALL.len()];
    let mut at = 0;
    while at < triggers.len() {
        let transform = Transform::ALL[at];
        triggers[transform as usize] = transform.find_trigger();
        at += 1;
    }
    triggers
};

impl Transform {
    /// The transformation of this name, ASCII case ignored.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::SPELLINGS
            .iter()
            .find(|(spelling, _)| spelling.eq_ignore_ascii_case(name))
            .map(|&(_, transform)| transform)
    }

    /// Appends the transformed value to `out` and gives true; gives false, and leaves `out` alone, when the value stays as it is.
    ///
    /// Takes time linear in `input`; appends at most [`Transform::output_len_max`] bytes.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        if self.is_unchanged(input) {
            return false;
        }
        let skipped = match self.trigger() {
            Trigger::Always => 0,
            Trigger::Bytes(bytes) => match bytes.find_in(input) {
                None => return false,
                Some(first) if self.is_local() => first,
                Some(_) => 0,
            },
        };
        let Some((unchanged, rest)) = input.split_at_checked(skipped) else { return false };
        let start = out.len();
        out.extend_from_slice(unchanged);
        self.append(rest, out);
        let is_same = out.get(start..) == Some(input);
        if is_same {
            out.truncate(start);
        }
        !is_same
    }

    /// A sound proof that values stay as they are, from the bytes in them alone.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the table has an entry for each of them")]
    pub(crate) fn trigger(self) -> &'static Trigger {
        &TRIGGERS[self as usize]
    }

    const fn find_trigger(self) -> Trigger {
        Trigger::Bytes(match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::ParityEven7bit
            | Self::ParityOdd7bit
            | Self::Sha1 => return Trigger::Always,
            Self::CmdLine => ByteSet::of(b"\"'\\^ ,;\t\r\n").with_range(b'A', b'Z'),
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => ByteSet::of(space::SPACES),
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => ByteSet::of(b"\\"),
            Self::HtmlEntityDecode => ByteSet::of(b"&"),
            Self::Lowercase => ByteSet::EMPTY.with_range(b'A', b'Z'),
            Self::Uppercase => ByteSet::EMPTY.with_range(b'a', b'z'),
            Self::NormalizePath => ByteSet::of(b"/."),
            Self::NormalizePathWin => ByteSet::of(b"/.\\"),
            Self::ParityZero7bit => ByteSet::EMPTY.with_range(0x80, 0xff),
            Self::RemoveComments => ByteSet::of(b"/<-#"),
            Self::RemoveCommentsChar => ByteSet::of(b"/*<-#"),
            Self::RemoveNulls | Self::ReplaceNulls => ByteSet::of(b"\0"),
            Self::RemoveWhitespace => ByteSet::of(space::SPACES).with(ByteSet::of(space::NO_BREAK_SPACE)),
            Self::ReplaceComments => ByteSet::of(b"/"),
            Self::SqlHexDecode => ByteSet::of(b"0"),
            Self::UrlDecode | Self::UrlDecodeUni => ByteSet::of(b"%+"),
            Self::UrlEncode => percent::UNRESERVED.complement(),
            Self::Utf8ToUnicode => ByteSet::of(b"\0").with_range(0xc0, 0xf7),
            Self::WithoutMarkdownCode => ByteSet::of(b"`"),
        })
    }

    /// Whether the value stays as it is, for those whose trigger occurs in every other value.
    fn is_unchanged(self, input: &[u8]) -> bool {
        let has_pair = |first: u8, is_second: fn(u8) -> bool| {
            memchr::memchr_iter(first, input).any(|at| input.get(at + 1).is_some_and(|byte| is_second(*byte)))
        };
        match self {
            // Two dots count at the end of any segment: `a..` takes itself away.
            Self::NormalizePath => {
                !input.starts_with(b".")
                    && !has_pair(b'/', |byte| matches!(byte, b'/' | b'.'))
                    && !has_pair(b'.', |byte| byte == b'.')
            }
            Self::ReplaceComments => !has_pair(b'/', |byte| byte == b'*'),
            Self::CmdLine => {
                const CHANGED: ByteSet = ByteSet::of(b"\"'\\^,;\t\r\n").with_range(b'A', b'Z');
                CHANGED.find_in(input).is_none() && !has_pair(b' ', |byte| matches!(byte, b' ' | b'/' | b'('))
            }
            Self::CompressWhitespace => {
                const CHANGED: ByteSet = ByteSet::of(b"\t\n\x0b\x0c\r").with_range(0x80, 0xff);
                CHANGED.find_in(input).is_none() && !has_pair(b' ', |byte| byte == b' ')
            }
            _ => false,
        }
    }

    /// LIMIT: no value of `len` bytes becomes longer than this. The worst are `utf8toUnicode` (`%u00c0` and a repeated byte for two
    /// bytes), `urlEncode` (three for one) and the digests (20 for none).
    pub const fn output_len_max(len: usize) -> usize {
        len.saturating_mul(4).saturating_add(20)
    }

    /// Whether what happens to a byte does not depend on bytes before it unless one of them is in the trigger.
    const fn is_local(self) -> bool {
        !matches!(
            self,
            Self::NormalizePath
                | Self::NormalizePathWin
                | Self::Trim
                | Self::TrimLeft
                | Self::TrimRight
                | Self::WithoutMarkdownCode
        )
    }

    fn append(self, input: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Base64Decode => base64::decode(input, out),
            Self::Base64DecodeExt => base64::decode_leniently(input, out),
            Self::Base64Encode => base64::encode(input, out),
            Self::CmdLine => cmdline::normalize(input, out),
            Self::CompressWhitespace => space::compress(input, out),
            Self::CssDecode => css::decode(input, out),
            Self::EscapeSeqDecode => escape::decode(input, out),
            Self::HexDecode => hex::decode(input, out),
            Self::HexEncode => hex::encode(input, out),
            Self::HtmlEntityDecode => html::decode(input, out),
            Self::JsDecode => js::decode(input, out),
            Self::Length => out.extend_from_slice(input.len().to_string().as_bytes()),
            Self::Lowercase => case::lower(input, out),
            Self::Md5 => digest::md5(input, out),
            Self::NormalizePath => path::normalize(input, path::Separators::Slash, out),
            Self::NormalizePathWin => path::normalize(input, path::Separators::SlashAndBackslash, out),
            Self::ParityEven7bit => parity::even(input, out),
            Self::ParityOdd7bit => parity::odd(input, out),
            Self::ParityZero7bit => parity::zero(input, out),
            Self::RemoveComments => comments::remove(input, out),
            Self::RemoveCommentsChar => comments::remove_marks(input, out),
            Self::RemoveNulls => nulls::remove(input, out),
            Self::RemoveWhitespace => space::remove(input, out),
            Self::ReplaceComments => comments::replace(input, out),
            Self::ReplaceNulls => nulls::replace(input, out),
            Self::Sha1 => digest::sha1(input, out),
            Self::SqlHexDecode => sql_hex::decode(input, out),
            Self::Trim => space::trim(input, out),
            Self::TrimLeft => space::trim_left(input, out),
            Self::TrimRight => space::trim_right(input, out),
            Self::Uppercase => case::upper(input, out),
            Self::UrlDecode => percent::url_decode(input, out),
            Self::UrlDecodeUni => percent::url_decode_uni(input, out),
            Self::UrlEncode => percent::url_encode(input, out),
            Self::Utf8ToUnicode => utf8::to_unicode(input, out),
            Self::WithoutMarkdownCode => markdown::without_code(input, out),
        }
    }
}
