//! The SQL that is spoken here: the engine's generic dialect, with `->` and `->>` binding as readers expect.
//!
//! In the generic dialect they bind looser than a comparison, so that `event->>'id' = 'x'` would look up the key
//! `'id' = 'x'`. Here they bind tighter than arithmetic. Of what the generic dialect takes besides, only what belongs
//! to queries is taken, and what makes for a good refusal.

use std::any::TypeId;

use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// Above multiplication (40), below `::` (50).
const ARROW_PRECEDENCE: u8 = 45;

/// The dialect.
#[derive(Debug)]
pub(crate) struct CandorDialect;

macro_rules! as_generic {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            GenericDialect.$name()
        })*
    };
}

impl Dialect for CandorDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        GenericDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        GenericDialect.is_identifier_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow => Some(Ok(ARROW_PRECEDENCE)),
            _ => None,
        }
    }

    as_generic! {
        supports_unicode_string_literal
        supports_partition_by_after_order_by
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_left_associative_joins_without_parens
        supports_window_function_null_treatment_arg
        supports_dictionary_syntax
        supports_window_clause_named_window_reference
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_replace
        supports_select_wildcard_rename
        support_map_literal_syntax
        allow_extract_custom
        allow_extract_single_quotes
        supports_extract_comma_syntax
        supports_parens_around_table_factor
        supports_values_as_table_factor
        supports_explain_with_utility_options
        supports_limit_comma
        supports_from_first_select
        supports_projection_trailing_commas
        supports_try_convert
        supports_bitwise_shift_operators
        supports_named_fn_args_with_assignment_operator
        supports_struct_literal
        supports_nested_comments
        supports_string_escape_constant
        supports_array_typedef_with_brackets
        supports_filter_during_aggregation
        supports_interval_options
        supports_comma_separated_trim
        supports_load_extension
        supports_install
        supports_detach
    }
}
