//! GraphQL executable documents (specification of September 2025, §2): operations, fragments, selections, arguments.
//!
//! A tree of what is written, with a bounded tokenizer of its own and no recursion; schema definitions are refused.
//! A field is a [`Kind::Selection`] whose children are its arguments (named values), directives and selections.
//! What an operation costs depends on its fragments: `measure` follows them.

mod measure;
mod token;

pub use self::token::block_string_length;
use self::token::{Token, Tokens};
use crate::builder::{Builder, Stop, saturated};
use crate::fault::FaultKind;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::tree::{NameSpan, Span};

/// Decodes a document.
pub(crate) fn decode(out: &mut Builder<'_, '_>) -> Result<(), Stop> {
    out.within(Limit::GraphqlDocumentLength, saturated(out.source.len()), 0)?;
    let tokens = Tokens::new(out.source);
    let mut parser = Parser { tokens, token_start: 0, counts: Counts::default(), states: Vec::new(), out };
    parser.document()?;
    measure::check(parser.out)
}

/// Where the parser is: what may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After the name, arguments or a directive of the innermost node
    Tail,
    /// Inside `{…}` of selections
    Selections,
    /// Inside `(…)` of arguments
    Arguments,
    /// Inside `(…)` of variable definitions
    Variables,
    /// Inside a list literal
    List,
    /// Inside an object literal
    Object,
}

#[derive(Default)]
struct Counts {
    tokens: u32,
    operations: u32,
    fragments: u32,
    fields: u32,
    aliases: u32,
    directives: u32,
    introspection: u32,
    depth: u32,
    value_depth: u32,
}

struct Parser<'p, 'a, 'l> {
    tokens: Tokens<'a>,
    /// Where the last token began, its white space included
    token_start: usize,
    counts: Counts,
    states: Vec<State>,
    out: &'p mut Builder<'a, 'l>,
}

/// A token and where it is.
type Found = (Token, Span);

impl Parser<'_, '_, '_> {
    fn document(&mut self) -> Result<(), Stop> {
        loop {
            let (token, span) = self.next()?;
            match self.states.last() {
                None if token == Token::End => break,
                None => self.definition(token, span)?,
                Some(State::Tail) => self.tail(token, span)?,
                Some(State::Selections) => self.selection(token, span)?,
                Some(State::Arguments) => self.argument(token, span, Token::CloseParenthesis)?,
                Some(State::Object) => self.argument(token, span, Token::CloseBrace)?,
                Some(State::Variables) => self.variable_definition(token, span)?,
                Some(State::List) => self.element(token, span)?,
            }
        }
        if self.counts.operations + self.counts.fragments == 0 {
            return Err(self.out.stop(FaultKind::EmptyDocument, 0));
        }
        Ok(())
    }

    // Tokens

    fn next(&mut self) -> Result<Found, Stop> {
        self.counts.tokens += 1;
        self.token_start = self.tokens.at;
        self.out.within(Limit::GraphqlTokenCount, self.counts.tokens, self.tokens.at)?;
        Ok(self.tokens.next())
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, wanted: Token) -> Result<bool, Stop> {
        let (token, _) = self.next()?;
        if token != wanted {
            self.tokens.at = self.token_start;
        }
        Ok(token == wanted)
    }

    fn expect(&mut self, wanted: Token) -> Result<Span, Stop> {
        let (token, span) = self.next()?;
        if token == wanted { Ok(span) } else { Err(self.unexpected(token, span)) }
    }

    #[cold]
    fn unexpected(&mut self, token: Token, span: Span) -> Stop {
        let kind = if token == Token::End { FaultKind::UnexpectedEnd } else { FaultKind::UnexpectedByte };
        self.out.stop(kind, span.place().1)
    }

    // Definitions

    fn definition(&mut self, token: Token, span: Span) -> Result<(), Stop> {
        let at = span.place().1;
        if token == Token::OpenBrace {
            self.begin_operation(NameSpan::None, Span::default(), at)?;
            return self.open_selections(at);
        }
        if token != Token::Name {
            return Err(self.unexpected(token, span));
        }
        match self.out.bytes(span) {
            b"query" | b"mutation" | b"subscription" => {
                let name =
                    if self.next_is_name() { NameSpan::Bytes(self.expect(Token::Name)?) } else { NameSpan::None };
                self.begin_operation(name, span, at)
            }
            b"fragment" => {
                self.counts.fragments += 1;
                self.out.within(Limit::GraphqlFragmentCount, self.counts.fragments, at)?;
                let name = self.expect(Token::Name)?;
                let on = self.expect(Token::Name)?;
                if self.out.bytes(on) != b"on" {
                    return Err(self.unexpected(Token::Name, on));
                }
                let condition = self.expect(Token::Name)?;
                self.open(Kind::Fragment, NameSpan::Bytes(name), condition, at)
            }
            _ => Err(self.unexpected(token, span)),
        }
    }

    fn next_is_name(&self) -> bool {
        self.tokens.clone().next().0 == Token::Name
    }

    fn begin_operation(&mut self, name: NameSpan, value: Span, at: usize) -> Result<(), Stop> {
        self.counts.operations += 1;
        self.out.within(Limit::GraphqlOperationCount, self.counts.operations, at)?;
        self.open(Kind::Operation, name, value, at)
    }

    /// Opens a node that arguments, directives or selections may follow.
    fn open(&mut self, kind: Kind, name: NameSpan, value: Span, at: usize) -> Result<(), Stop> {
        self.out.open(kind, name, value, Span::source(at, at))?;
        self.states.push(State::Tail);
        Ok(())
    }

    /// Opens the selections of the innermost node; an inline fragment's are its parent's.
    fn open_selections(&mut self, at: usize) -> Result<(), Stop> {
        self.counts.depth += self.own_depth();
        self.out.within(Limit::GraphqlDepth, self.counts.depth, at)?;
        self.states.push(State::Selections);
        Ok(())
    }

    fn own_depth(&self) -> u32 {
        u32::from(self.out.innermost().is_none_or(|open| open.kind != Kind::InlineFragment))
    }

    /// What may follow a name: arguments, directives, selections; else the innermost node ends before the token.
    fn tail(&mut self, token: Token, span: Span) -> Result<(), Stop> {
        let at = span.place().1;
        let Some(open) = self.out.innermost() else { return Err(self.unexpected(token, span)) };
        let takes_arguments = matches!(open.kind, Kind::Selection | Kind::Directive) && open.children == 0;
        let takes_selections =
            matches!(open.kind, Kind::Selection | Kind::Operation | Kind::Fragment | Kind::InlineFragment);
        match token {
            Token::OpenParenthesis if takes_arguments => {
                self.out.count_child();
                self.states.push(State::Arguments);
                Ok(())
            }
            Token::OpenParenthesis if open.kind == Kind::Operation && open.children == 0 => {
                self.out.count_child();
                self.states.push(State::Variables);
                Ok(())
            }
            Token::At if open.kind != Kind::Directive => {
                self.out.count_child();
                self.counts.directives += 1;
                self.out.within(Limit::GraphqlDirectiveCount, self.counts.directives, at)?;
                let name = self.expect(Token::Name)?;
                self.open(Kind::Directive, NameSpan::Bytes(name), Span::default(), at)
            }
            Token::OpenBrace if takes_selections => self.open_selections(at),
            Token::Equals if open.kind == Kind::VariableDefinition && open.children == 0 => {
                self.out.count_child();
                let (token, span) = self.next()?;
                self.value(NameSpan::None, token, span)
            }
            _ if matches!(open.kind, Kind::Operation | Kind::Fragment | Kind::InlineFragment) => {
                Err(self.unexpected(token, span))
            }
            _ => {
                self.close_tail(self.token_start);
                self.tokens.at = self.token_start;
                Ok(())
            }
        }
    }

    fn close_tail(&mut self, end: usize) {
        self.states.pop();
        self.out.close(end);
    }

    // Selections

    fn selection(&mut self, token: Token, span: Span) -> Result<(), Stop> {
        let at = span.place().1;
        match token {
            Token::CloseBrace => {
                self.states.pop();
                self.counts.depth -= self.own_depth();
                self.close_tail(at + 1);
                Ok(())
            }
            Token::Spread => self.spread(at),
            Token::Name => self.field(span),
            _ => Err(self.unexpected(token, span)),
        }
    }

    fn field(&mut self, first: Span) -> Result<(), Stop> {
        let at = first.place().1;
        let mut name = first;
        if self.take(Token::Colon)? {
            self.counts.aliases += 1;
            self.out.within(Limit::GraphqlAliasCount, self.counts.aliases, at)?;
            name = self.expect(Token::Name)?;
        }
        self.counts.fields += 1;
        self.out.within(Limit::GraphqlFieldCount, self.counts.fields, at)?;
        if matches!(self.out.bytes(name), b"__schema" | b"__type") {
            self.counts.introspection += 1;
            self.out.within(Limit::GraphqlIntrospectionCount, self.counts.introspection, at)?;
        }
        self.open(Kind::Selection, NameSpan::Bytes(first), name, at)
    }

    fn spread(&mut self, at: usize) -> Result<(), Stop> {
        if !self.next_is_name() {
            return self.open(Kind::InlineFragment, NameSpan::None, Span::default(), at);
        }
        let name = self.expect(Token::Name)?;
        if self.out.bytes(name) == b"on" {
            let condition = self.expect(Token::Name)?;
            return self.open(Kind::InlineFragment, NameSpan::None, condition, at);
        }
        self.open(Kind::Spread, NameSpan::Bytes(name), Span::default(), at)
    }

    fn variable_definition(&mut self, token: Token, span: Span) -> Result<(), Stop> {
        match token {
            Token::CloseParenthesis => {
                self.states.pop();
                Ok(())
            }
            Token::Dollar => {
                let name = self.expect(Token::Name)?;
                self.expect(Token::Colon)?;
                let start = self.tokens.at;
                let condition = self.type_reference(start)?;
                self.open(Kind::VariableDefinition, NameSpan::Bytes(name), condition, span.place().1)
            }
            _ => Err(self.unexpected(token, span)),
        }
    }

    /// `[Name!]!`: only its extent; brackets are matched by count.
    fn type_reference(&mut self, start: usize) -> Result<Span, Stop> {
        let mut lists = 0_u32;
        while self.take(Token::OpenBracket)? {
            lists += 1;
        }
        self.expect(Token::Name)?;
        loop {
            let end = self.tokens.at;
            if lists > 0 && self.take(Token::CloseBracket)? {
                lists -= 1;
            } else if !self.take(Token::Bang)? {
                let text = self.out.source.get(start..end).unwrap_or_default();
                let start = start + text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                return if lists == 0 {
                    Ok(Span::source(start, end))
                } else {
                    Err(self.unexpected(Token::Name, Span::source(end, end)))
                };
            }
        }
    }

    // Values

    fn argument(&mut self, token: Token, span: Span, close: Token) -> Result<(), Stop> {
        if token == close {
            self.states.pop();
            if close == Token::CloseBrace {
                self.close_value(span);
            }
            return Ok(());
        }
        if token != Token::Name {
            return Err(self.unexpected(token, span));
        }
        self.expect(Token::Colon)?;
        let (token, value) = self.next()?;
        self.value(NameSpan::Bytes(span), token, value)
    }

    fn element(&mut self, token: Token, span: Span) -> Result<(), Stop> {
        if token == Token::CloseBracket {
            self.states.pop();
            self.close_value(span);
            return Ok(());
        }
        let count = self.out.count_child();
        self.value(NameSpan::Index(count.saturating_sub(1)), token, span)
    }

    fn close_value(&mut self, last: Span) {
        self.counts.value_depth -= 1;
        self.out.close(last.place().1 + 1);
    }

    fn value(&mut self, name: NameSpan, token: Token, span: Span) -> Result<(), Stop> {
        let at = span.place().1;
        match token {
            Token::Number => self.out.leaf(Kind::Number, name, span, span),
            Token::Quote => {
                let (value, raw, end) = crate::json::graphql_string(self.out, at)?;
                self.tokens.at = end;
                self.out.leaf(Kind::String, name, value, raw)
            }
            Token::BlockString => self.block_string(name, span),
            Token::Name => {
                let kind = match self.out.bytes(span) {
                    b"true" | b"false" => Kind::Bool,
                    b"null" => Kind::Null,
                    _ => Kind::Enum,
                };
                self.out.leaf(kind, name, span, span)
            }
            Token::Dollar => {
                let variable = self.expect(Token::Name)?;
                self.out.leaf(Kind::Variable, name, variable, variable)
            }
            Token::OpenBracket => self.open_value(Kind::Array, State::List, name, at),
            Token::OpenBrace => self.open_value(Kind::Object, State::Object, name, at),
            _ => Err(self.unexpected(token, span)),
        }
    }

    fn open_value(&mut self, kind: Kind, state: State, name: NameSpan, at: usize) -> Result<(), Stop> {
        self.counts.value_depth += 1;
        self.out.within(Limit::GraphqlValueDepth, self.counts.value_depth, at)?;
        self.out.open(kind, name, Span::default(), Span::source(at, at))?;
        self.states.push(state);
        Ok(())
    }

    /// A block string between its quotes; its indentation is kept, only `\"""` is decoded.
    fn block_string(&mut self, name: NameSpan, span: Span) -> Result<(), Stop> {
        let (_, start) = span.place();
        let source = self.out.source;
        let text = source.get(start..start + span.len as usize).unwrap_or_default();
        if memchr::memmem::find(text, b"\\\"\"\"").is_none() {
            return self.out.leaf(Kind::String, name, span, span);
        }
        let mark = self.out.mark();
        let mut rest = text;
        while let Some((before, after)) =
            memchr::memmem::find(rest, b"\\\"\"\"").and_then(|at| rest.split_at_checked(at))
        {
            self.out.decoded_buffer(before.len(), start)?.extend_from_slice(before);
            rest = after.get(1..).unwrap_or_default();
            let quotes = rest.get(..3).unwrap_or_default();
            self.out.decoded_buffer(3, start)?.extend_from_slice(quotes);
            rest = rest.get(3..).unwrap_or_default();
        }
        self.out.decoded_buffer(rest.len(), start)?.extend_from_slice(rest);
        let value = self.out.decoded_since(mark);
        self.out.leaf(Kind::String, name, value, span)
    }
}
