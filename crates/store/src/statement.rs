//! SQL before it is planned: one statement, that only reads, and of a shape that cannot exhaust a thread's stack.
//!
//! Parser, planner and destructors recurse over the syntax tree, and an overflow ends the process. sqlparser limits
//! nesting, but `1+1+…` is a tree as deep as it is long without any nesting. Every level of a tree costs an operator,
//! an opening bracket or one of a few keywords, so counting those bounds the depth whatever the kind of chain.

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::Error;

/// LIMIT: bytes of one SQL text.
const SQL_BYTES_MAX: usize = 64 * 1024;
/// LIMIT: operators, opening brackets and joining keywords of one SQL text, and with them the depth of its tree.
const LINKS_MAX: usize = 200;
/// LIMIT: words of one SQL text that the planner rewrites with an operand twice: a chain of n becomes 2ⁿ expressions.
const DOUBLINGS_MAX: usize = 10;
/// The links that one `||` counts for: it is planned as two expressions, whose names are long.
const CONCATENATION_LINKS: usize = 4;
/// The links that one join counts for: planning takes time that grows with the square of tables and their columns.
const JOIN_LINKS: usize = 10;
/// LIMIT: bytes of one text in quotes; it may be copied into every row of a batch.
const LITERAL_BYTES_MAX: usize = 1024;

/// Reads one statement and refuses all that could change or reach anything.
pub(crate) fn read_only_statement(text: &str) -> Result<DfStatement, Error> {
    if text.len() > SQL_BYTES_MAX {
        return Err(Error::Query(format!("the SQL text is longer than {SQL_BYTES_MAX} bytes")));
    }
    check_shape(text)?;
    let parsed = DFParserBuilder::new(text).build().and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| match error.find_root() {
        DataFusionError::SQL(error, _) => unreadable(error),
        root => Error::Query(root.strip_backtrace()),
    })?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(statement), None) => match writing_verb(&statement) {
            None => Ok(statement),
            Some(verb) => {
                Err(Error::Refused(format!("`{verb}` is not allowed: only SELECT, EXPLAIN, SHOW and DESCRIBE are")))
            }
        },
        (None, _) => {
            Err(Error::Query("there is no SQL statement; write for example `SELECT * FROM events`".to_owned()))
        }
        (Some(_), Some(_)) => Err(Error::Refused("one statement at a time".to_owned())),
    }
}

/// sqlparser's error in our words.
pub(crate) fn unreadable(error: &ParserError) -> Error {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            Error::Query(format!("the SQL cannot be read: {text}"))
        }
        ParserError::RecursionLimitExceeded => Error::Query("the SQL is nested too deeply".to_owned()),
    }
}

/// Refuses texts whose tree could be too deep, and texts in quotes that are too long.
fn check_shape(text: &str) -> Result<(), Error> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    let tokens = tokens.map_err(|error| unreadable(&ParserError::TokenizerError(error.to_string())))?;
    // one entry a bracket: whether a comma there joins tables
    let mut joins = vec![false];
    let (mut links, mut doublings) = (0_usize, 0_usize);
    for token in &tokens {
        let joins_tables = joins.last().copied().unwrap_or_default();
        links += match token {
            Token::Comma => {
                if joins_tables {
                    JOIN_LINKS
                } else {
                    0
                }
            }
            Token::Word(word) if word.keyword == Keyword::JOIN => JOIN_LINKS,
            Token::StringConcat => CONCATENATION_LINKS,
            token => usize::from(is_link(token)),
        };
        doublings += usize::from(is_doubling(token));
        match token {
            Token::LParen => joins.push(false),
            Token::RParen => drop(joins.pop()),
            Token::Word(word) if joins_tables || word.keyword == Keyword::FROM => {
                if let Some(innermost) = joins.last_mut() {
                    *innermost = !ends_tables(word.keyword);
                }
            }
            Token::SingleQuotedString(literal) if literal.len() > LITERAL_BYTES_MAX => {
                return Err(Error::Query(format!("a text in quotes is longer than {LITERAL_BYTES_MAX} bytes")));
            }
            _ => {} // the other tokens change neither
        }
    }
    if links > LINKS_MAX {
        return Err(Error::Query(format!(
            "the SQL has {links} operators, brackets, joins and the like, more than the {LINKS_MAX} allowed; a long OR can be written as `IN (…)`"
        )));
    }
    if doublings > DOUBLINGS_MAX {
        return Err(Error::Query(format!(
            "the SQL has {doublings} times BETWEEN, coalesce and the like, more than the {DOUBLINGS_MAX} allowed; write `>=` and `<=`, or CASE"
        )));
    }
    Ok(())
}

/// Whether the planner copies an operand of what this token begins.
fn is_doubling(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    let names = ["between", "coalesce", "nvl", "nvl2", "ifnull", "nullif", "greatest", "least"];
    names.iter().any(|name| word.value.eq_ignore_ascii_case(name))
}

/// Whether a token can put one part of a statement below another in the tree.
fn is_link(token: &Token) -> bool {
    use Keyword as K;
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            K::AND
                | K::OR
                | K::XOR
                | K::NOT
                | K::CASE
                | K::WHEN
                | K::IS
                | K::NOTNULL
                | K::LIKE
                | K::ILIKE
                | K::RLIKE
                | K::REGEXP
                | K::SIMILAR
                | K::MATCH
                | K::ESCAPE
                | K::IN
                | K::BETWEEN
                | K::OVERLAPS
                | K::MEMBER
                | K::DIV
                | K::AT
                | K::COLLATE
                | K::UNION
                | K::EXCEPT
                | K::INTERSECT
                | K::MINUS
                | K::SELECT
                | K::VALUES
                | K::WITH
                | K::JOIN
                | K::APPLY
                | K::LATERAL
                | K::PIVOT
                | K::UNPIVOT
                | K::INTERVAL
                | K::PRIOR
                | K::EXPLAIN
                | K::DESCRIBE
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::RParen
        | Token::RBracket
        | Token::RBrace
        | Token::Period
        | Token::SemiColon
        | Token::Placeholder(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_) => false,
        _ => true, // operators, opening brackets, and rare kinds of literals
    }
}

/// Whether the list of tables ends with this word.
fn ends_tables(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::WHERE
            | K::GROUP
            | K::HAVING
            | K::WINDOW
            | K::QUALIFY
            | K::ORDER
            | K::LIMIT
            | K::OFFSET
            | K::FETCH
            | K::SELECT
            | K::UNION
            | K::EXCEPT
            | K::INTERSECT
            | K::MINUS
    )
}

/// The verb of what is not allowed, of the innermost statement of EXPLAIN; `None` for what only reads.
fn writing_verb(statement: &DfStatement) -> Option<String> {
    match statement {
        DfStatement::Explain(explain) => writing_verb(&explain.statement),
        DfStatement::Statement(inner) => match &**inner {
            Statement::Query(_)
            | Statement::ExplainTable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. }
            | Statement::ShowVariable { .. } => None,
            Statement::Explain { statement, .. } => match &**statement {
                Statement::Query(_) => None,
                inner => Some(first_word(&inner.to_string())),
            },
            inner => Some(first_word(&inner.to_string())), // some hundred statements, and each release adds more
        },
        DfStatement::CreateExternalTable(_) | DfStatement::CopyTo(_) | DfStatement::Reset(_) => {
            Some(first_word(&statement.to_string()))
        }
    }
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().chars().take(40).collect()
}
