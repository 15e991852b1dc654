//! PCRE's way of writing patterns → `regex-syntax`'s, where the two read the same text differently.
//!
//! - `\x{e9}` and `é` are bytes in PCRE (without its UTF mode), code points here: bytes are written `\xHH`.
//! - `\<` and `\>` are the characters in PCRE, word boundaries here.
//! - `{` that begins no repetition is a character in PCRE, an error here.
//! - Inside of a class `[`, `&&`, `--` and `~~` are characters in PCRE, nested classes and set operations here; `\b` is a backspace.
//! - `\h`, `\e`, `\0` and `\012` are unknown here.
//!
//! What neither this nor `regex-syntax` knows is refused by `regex-syntax`, so nothing changes its meaning silently.
//!
//! Sources: pcre2pattern(3); `regex-syntax` 0.8.

use std::fmt::Write as _;

use super::super::Fault;

pub(super) fn translate(pattern: &[u8]) -> Result<String, Fault> {
    let mut translator = Translator { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    while let Some(byte) = translator.next() {
        match byte {
            b'\\' => {
                translator.escape(Context::Outside)?;
            }
            b'[' => translator.class()?,
            b'{' => translator.brace(),
            b'(' => translator.group()?,
            _ => translator.literal(byte),
        }
    }
    Ok(translator.out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Outside,
    Class,
}

/// What an item of a class is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    /// One byte: may begin a range
    Byte,
    /// Several bytes: a `-` behind it is a `-`
    Set,
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn skip_if(&mut self, prefix: &[u8]) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A byte as it stands; not ASCII, as an escape.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii() {
            self.out.push(char::from(byte));
        } else {
            self.byte(byte);
        }
    }

    /// A byte, written so that it means nothing else.
    fn byte(&mut self, byte: u8) {
        // Writing into a string does not fail.
        let _ = write!(self.out, "\\x{byte:02x}");
    }

    /// What follows a `\`.
    fn escape(&mut self, context: Context) -> Result<Item, Fault> {
        let Some(byte) = self.next() else {
            return Err(fault("it ends in a backslash", "write `\\\\` for a backslash"));
        };
        match (byte, context) {
            (b'x', _) => {
                let value = self.hexadecimal()?;
                self.byte(value);
            }
            (b'0', _) => {
                let value = self.octal();
                self.byte(value);
            }
            (b'e', _) => self.byte(0x1b),
            (b'b', Context::Class) => self.byte(0x08),
            (b'<' | b'>', _) => self.literal(byte),
            (b'h', Context::Outside) => self.out.push_str(r"[\t\x20\xa0]"),
            (b'h', Context::Class) => {
                self.out.push_str(r"\t\x20\xa0");
                return Ok(Item::Set);
            }
            (0x80.., _) => self.byte(byte),
            _ => {
                self.out.push('\\');
                self.out.push(char::from(byte));
                return Ok(if matches!(byte, b'd' | b'D' | b's' | b'S' | b'w' | b'W') {
                    Item::Set
                } else {
                    Item::Byte
                });
            }
        }
        Ok(Item::Byte)
    }

    /// What follows `\x`: `{` digits `}`, or up to two digits.
    fn hexadecimal(&mut self) -> Result<u8, Fault> {
        let is_braced = self.rest.split(|&byte| byte == b'}').next().is_some_and(|inside| {
            matches!(inside, [b'{', digits @ ..] if inside.len() < self.rest.len() && !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit))
        });
        if is_braced {
            self.skip_if(b"{");
        }
        let digits_max = if is_braced { self.rest.len() } else { 2 };
        let len = self.rest.iter().take(digits_max).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, rest) = self.rest.split_at_checked(len).unwrap_or((&[], self.rest));
        self.rest = rest;
        if is_braced {
            self.skip_if(b"}");
        }
        let digits = str::from_utf8(digits).unwrap_or_default().trim_start_matches('0');
        if digits.is_empty() {
            return Ok(0);
        }
        u8::from_str_radix(digits, 16).map_err(|_| {
            fault(
                "it names a character above `\\xff`",
                "patterns match bytes: write the bytes of the character's UTF-8 form",
            )
        })
    }

    /// What follows `\0`: up to two octal digits.
    fn octal(&mut self) -> u8 {
        let len = self.rest.iter().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let (digits, rest) = self.rest.split_at_checked(len).unwrap_or((&[], self.rest));
        self.rest = rest;
        digits.iter().fold(0, |value, digit| value << 3 | (digit - b'0'))
    }

    /// What follows a `{`.
    fn brace(&mut self) {
        if !is_repetition(self.rest) {
            self.out.push('\\');
        }
        self.out.push('{');
    }

    /// What follows a `(`.
    fn group(&mut self) -> Result<(), Fault> {
        if self.skip_if(b"?#") {
            while !matches!(self.next(), None | Some(b')')) {}
            return Ok(());
        }
        if self.rest.starts_with(b"?R") {
            return Err(fault("it calls itself (`(?R)`)", "recursion is not available"));
        }
        self.out.push('(');
        Ok(())
    }

    /// What follows a `[`, up to its `]`.
    fn class(&mut self) -> Result<(), Fault> {
        self.out.push('[');
        if self.skip_if(b"^") {
            self.out.push('^');
        }
        if self.skip_if(b"]") {
            self.out.push_str(r"\]");
        }
        let mut item = Item::Set;
        while let Some(byte) = self.next() {
            match byte {
                b']' => {
                    self.out.push(']');
                    return Ok(());
                }
                b'\\' => item = self.escape(Context::Class)?,
                b'[' => item = self.bracket(),
                b'-' if self.rest.starts_with(b"-") => {
                    return Err(fault("it has `--` in a class", "write a hyphen that is meant literally as `\\-`"));
                }
                b'-' if item == Item::Set => {
                    self.out.push_str(r"\-");
                    item = Item::Byte;
                }
                b'&' | b'~' | b'#' | b' ' => {
                    self.byte(byte);
                    item = Item::Byte;
                }
                _ => {
                    self.literal(byte);
                    item = Item::Byte;
                }
            }
        }
        Err(fault("a class is not closed", "add the missing `]`, or write `\\[` for the character"))
    }

    /// What follows a `[` in a class: `:alpha:]`, or nothing of the kind.
    fn bracket(&mut self) -> Item {
        let len = self.rest.iter().position(|&byte| byte == b']');
        if let Some((name, rest)) = len.and_then(|len| self.rest.split_at_checked(len + 1))
            && let [b':', inside @ .., b':', b']'] = name
            && inside.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'^')
        {
            self.out.push('[');
            self.out.extend(name.iter().copied().map(char::from));
            self.rest = rest;
            return Item::Set;
        }
        self.out.push_str(r"\[");
        Item::Byte
    }
}

/// Whether `rest`, behind a `{`, is `3}`, `3,}` or `3,5}`.
fn is_repetition(rest: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let min = digits(rest);
    match rest.get(min..) {
        Some([b'}', ..]) => min > 0,
        Some([b',', max @ ..]) => min > 0 && max.get(digits(max)) == Some(&b'}'),
        _ => false,
    }
}

fn fault(reason: &str, help: &str) -> Fault {
    Fault { message: format!("the pattern cannot be read: {reason}"), help: help.to_owned() }
}
