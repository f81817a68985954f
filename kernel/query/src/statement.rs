//! From SQL text to the one statement that may run.
//!
//! What is refused here is refused by its kind, before anything is planned: a query reads the caller's tables and
//! does nothing else. The catalog is the second wall (it holds no other table) and the plan is checked as a third.

use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, ShowStatementOptions,
    Statement as Sql,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::QueryError;
use crate::dialect::CandorDialect;
use crate::functions::guard::CONSTANT_BYTES_MAX;
use crate::tables::catalog::{Named, SCHEMA, STREAM};

/// Longest SQL text, bytes.
pub(crate) const SQL_BYTES_MAX: usize = 256 << 10;

/// Most tokens. An IN list of 20,000 ids has 40,000.
pub(crate) const TOKENS_MAX: usize = 50_000;

/// Most tokens that can nest an expression or a plan without a parenthesis (operators, joins, unions): each may be a
/// level of a tree that the planner walks by recursion, on stacks of [`crate::engine::STACK_BYTES`].
pub(crate) const OPERATORS_MAX: usize = 1_500;

/// Deepest nesting of parentheses, subqueries and operators with a prefix: the parser's own bound.
pub(crate) const NESTING_MAX: usize = 48;

/// A statement that may run.
#[derive(Debug)]
pub(crate) enum Statement {
    /// A query, or an EXPLAIN of one; with the names of its columns where they say more than the engine's do.
    Query(Box<Parsed>, Option<Vec<Option<String>>>),
    /// The tables.
    ShowTables,
    /// The columns of a table.
    Describe(Named),
}

/// Parses SQL and refuses what may not run.
pub(crate) fn parse(sql: &str) -> Result<Statement, QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(QueryError::Syntax(format!("the query is longer than {} KiB", SQL_BYTES_MAX >> 10)));
    }
    let dialect = CandorDialect;
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|e| QueryError::Syntax(clean(&e.to_string())))?;
    bound(&tokens)?;
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .build()
        .map_err(QueryError::from_datafusion)?;
    let mut statements = parser.parse_statements().map_err(QueryError::from_datafusion)?;
    let Some(statement) = statements.pop_front() else {
        return Err(QueryError::Syntax("the query is empty".to_owned()));
    };
    if !statements.is_empty() {
        return Err(QueryError::Refused("one statement at a time".to_owned()));
    }
    allow(statement)
}

fn bound(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let meaningful = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let mut count = 0;
    let mut operators = 0;
    for token in meaningful {
        count += 1;
        if text_bytes(&token.token) > CONSTANT_BYTES_MAX {
            return Err(QueryError::Syntax(format!(
                "a text in the query is longer than {} KiB",
                CONSTANT_BYTES_MAX >> 10
            )));
        }
        operators += usize::from(nests(&token.token));
    }
    if count > TOKENS_MAX {
        return Err(QueryError::Syntax(format!("the query has more than {TOKENS_MAX} words")));
    }
    if operators > OPERATORS_MAX {
        return Err(QueryError::Syntax(format!(
            "the query has more than {OPERATORS_MAX} operators: use IN (…) or a join with VALUES"
        )));
    }
    Ok(())
}

/// The length of a text that is written in a query.
fn text_bytes(token: &Token) -> usize {
    match token {
        Token::SingleQuotedString(text)
        | Token::TripleSingleQuotedString(text)
        | Token::TripleDoubleQuotedString(text)
        | Token::EscapedStringLiteral(text)
        | Token::UnicodeStringLiteral(text)
        | Token::NationalStringLiteral(text)
        | Token::HexStringLiteral(text)
        | Token::SingleQuotedByteStringLiteral(text)
        | Token::SingleQuotedRawStringLiteral(text) => text.len(),
        Token::DollarQuotedString(text) => text.value.len(),
        _ => 0,
    }
}

fn nests(token: &Token) -> bool {
    match token {
        Token::Comma
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::SemiColon
        | Token::Period
        | Token::EOF => false,
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::APPLY
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::SIMILAR
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::BETWEEN
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::IN
                | Keyword::DIV
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::OVERLAPS
                | Keyword::OPERATOR
                | Keyword::PIVOT
                | Keyword::UNPIVOT
                | Keyword::EXPLAIN
                | Keyword::DESCRIBE
        ),
        _ => true,
    }
}

fn allow(statement: Parsed) -> Result<Statement, QueryError> {
    match statement {
        Parsed::Statement(inner) => match *inner {
            Sql::Query(ref query) if !query.locks.is_empty() => Err(refused("SELECT … FOR UPDATE")),
            Sql::Query(ref query) => {
                let names = written_names(query);
                Ok(Statement::Query(Box::new(Parsed::Statement(inner)), names))
            }
            Sql::ShowTables { ref show_options, .. } if plain(show_options) => Ok(Statement::ShowTables),
            Sql::ShowColumns { ref show_options, .. } => match shown_table(show_options) {
                Some(table) => Ok(Statement::Describe(table)),
                None => Err(refused("SHOW COLUMNS with a filter")),
            },
            Sql::ExplainTable {
                describe_alias: DescribeAlias::Describe | DescribeAlias::Desc | DescribeAlias::Explain,
                ref table_name,
                ..
            } => Ok(Statement::Describe(table_of(table_name)?)),
            // The parser of DataFusion makes its own statement of EXPLAIN; this form is another dialect's.
            Sql::Explain { .. } => Err(refused("this form of EXPLAIN")),
            ref other => Err(refused(&first_words(&other.to_string()))),
        },
        Parsed::Explain(explain) => match allow((*explain.statement).clone())? {
            Statement::Query(..) => Ok(Statement::Query(Box::new(Parsed::Explain(explain)), None)),
            _ => Err(refused("EXPLAIN of anything but a query")),
        },
        Parsed::CopyTo(_) => Err(refused("COPY")),
        Parsed::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Parsed::Reset(_) => Err(refused("RESET")),
    }
}

/// Longest name that a column has because its expression was written so, characters.
const NAME_CHARACTERS_MAX: usize = 120;

/// The expressions of a query's columns as they were written, where they have no name; none at all where a wildcard
/// stands for columns that are not written.
fn written_names(query: &Query) -> Option<Vec<Option<String>>> {
    let mut body = query.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = query.body.as_ref(),
            // The first side names the columns of all.
            SetExpr::SetOperation { left, .. } => body = left.as_ref(),
            _ => return None,
        }
    };
    select.projection.iter().map(written_name).collect()
}

/// `None` for a wildcard, `Some(None)` for what has a name.
#[expect(clippy::option_option, reason = "two questions: is it one column, and does it need a name")]
fn written_name(item: &SelectItem) -> Option<Option<String>> {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        | SelectItem::ExprWithAlias { .. } => Some(None),
        SelectItem::UnnamedExpr(expr) => {
            let written = expr.to_string();
            Some(Some(match written.char_indices().nth(NAME_CHARACTERS_MAX) {
                Some((end, _)) => format!("{}…", &written[..end]),
                None => written,
            }))
        }
        _ => None,
    }
}

/// Gives the columns of a query that are expressions a name each: the engine names a cast as what it casts, and
/// refuses two columns of one name. Tells whether there was one.
pub(crate) fn name_columns(statement: &mut Parsed) -> bool {
    let Parsed::Statement(inner) = statement else { return false };
    let Sql::Query(query) = inner.as_mut() else { return false };
    let mut body = query.body.as_mut();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = query.body.as_mut(),
            SetExpr::SetOperation { left, .. } => body = left.as_mut(),
            _ => return false,
        }
    };
    let mut named = false;
    for (at, item) in select.projection.iter_mut().enumerate() {
        if let Some(Some(written)) = written_name(item)
            && let SelectItem::UnnamedExpr(expr) = item
        {
            let alias = Ident::with_quote('"', format!("{written} #{}", at + 1));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            named = true;
        }
    }
    named
}

fn refused(what: &str) -> QueryError {
    QueryError::Refused(format!(
        "{what} is not allowed: a query is SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES or SHOW COLUMNS"
    ))
}

/// The words in capitals that a statement begins with.
fn first_words(statement: &str) -> String {
    let words: Vec<&str> = statement
        .split_whitespace()
        .take(3)
        .take_while(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    if words.is_empty() { "this statement".to_owned() } else { words.join(" ") }
}

fn plain(options: &ShowStatementOptions) -> bool {
    let ShowStatementOptions { show_in, starts_with, limit, limit_from, filter_position } = options;
    show_in.is_none()
        && starts_with.is_none()
        && limit.is_none()
        && limit_from.is_none()
        && filter_position.is_none()
}

fn shown_table(options: &ShowStatementOptions) -> Option<Named> {
    if options.filter_position.is_some() {
        return None;
    }
    let name = options.show_in.as_ref()?.parent_name.as_ref()?;
    table_of(name).ok()
}

/// The table that a name means: bare, in the project's own schema, or a topic's.
fn table_of(name: &ObjectName) -> Result<Named, QueryError> {
    let parts: Vec<String> = name
        .0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        })
        .collect();
    match parts.as_slice() {
        [table] => Ok(Named::Main(table.clone())),
        [schema, table] if schema == SCHEMA => Ok(Named::Main(table.clone())),
        [schema, table] if schema == STREAM => Ok(Named::Stream(table.clone())),
        _ => Err(QueryError::Plan(format!("table '{name}' not found"))),
    }
}

/// A parser's message without its prefix.
pub(crate) fn clean(message: &str) -> String {
    message.trim_start_matches("sql parser error: ").to_owned()
}
