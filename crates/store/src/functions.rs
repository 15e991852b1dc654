//! SQL functions that make much out of little.
//!
//! The memory pool of a query counts what operators keep, not what an expression makes: `repeat('a', 200000000)` is
//! free to it. Functions whose result is as large as an argument says are refused by name. Those that join or replace
//! text stay, and are asked first how much they could make of one batch: with nested queries (`s || s AS s`) each
//! doubles what the one below made.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawDictionaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr,
};
use datafusion::prelude::SessionContext;

use crate::Error;

/// LIMIT: bytes that one function may make of one batch of rows.
const MADE_BYTES_MAX: usize = 128 << 20;
/// Functions whose result is as large as an argument says, or that multiply what two arguments hold.
const REFUSED: &[&str] = &[
    "repeat",
    "lpad",
    "rpad",
    "range",
    "generate_series",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "array_replace",
    "list_replace",
    "array_replace_n",
    "list_replace_n",
    "array_replace_all",
    "list_replace_all",
    "array_to_string",
    "list_to_string",
    "array_join",
    "list_join",
    "array_append",
    "list_append",
    "array_push_back",
    "list_push_back",
    "array_prepend",
    "list_prepend",
    "array_push_front",
    "list_push_front",
    "array_concat",
    "list_concat",
    "array_cat",
    "list_cat",
    "array_transform",
    "list_transform",
    "arrays_zip",
    "list_zip",
    "make_array",
    "make_list",
    "map",
    "make_map",
    "arrow_cast",
    "arrow_try_cast",
];
/// Functions that stay, with their bound.
const BOUNDED: &[(&str, Bound)] =
    &[("concat", joined), ("concat_ws", joined_with), ("replace", replaced), ("regexp_replace", replaced)];

/// Bytes that a function can make of its arguments at most.
type Bound = fn(&ScalarFunctionArgs) -> usize;

/// Takes the refused functions out of `context` and puts bounds on those that grow with their arguments.
pub(crate) fn restrict(context: &SessionContext) {
    for name in REFUSED {
        context
            .register_udf(ScalarUDF::from(Refused { name, signature: Signature::variadic_any(Volatility::Volatile) }));
    }
    for (name, bound) in BOUNDED {
        let inner = context.state().scalar_functions().get(*name).cloned();
        if let Some(inner) = inner {
            context.register_udf(ScalarUDF::from(Bounded { inner, bound: *bound }));
        }
    }
}

fn refused(name: &str) -> DataFusionError {
    let text = format!("`{name}` is not available: its result could be far larger than the memory of a query");
    DataFusionError::External(Box::new(Error::Refused(text)))
}

fn check_size(name: &str, bytes: usize) -> Result<()> {
    if bytes <= MADE_BYTES_MAX {
        return Ok(());
    }
    let mib = MADE_BYTES_MAX >> 20;
    let text = format!("`{name}` would make more than {mib} MiB of one batch of rows; give it shorter texts");
    Err(DataFusionError::External(Box::new(Error::Query(text))))
}

/// A function that is there to say that it is not.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Refused {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Refused {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(refused(self.name))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(refused(self.name))
    }
}

/// A function that is asked first how much it could make.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    bound: Bound,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    // `simplify` is not passed on: it would put the function without its bound into the plan
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check_size(self.name(), (self.bound)(&args))?;
        self.inner.invoke_with_args(args)
    }
}

/// All arguments after each other, in each row.
fn joined(args: &ScalarFunctionArgs) -> usize {
    args.args.iter().map(|value| bytes_in_rows(value, args.number_rows)).fold(0, usize::saturating_add)
}

/// The same, with the first argument between each two.
fn joined_with(args: &ScalarFunctionArgs) -> usize {
    let separator = args.args.first().map_or(0, |value| bytes_in_rows(value, args.number_rows));
    joined(args).saturating_add(separator.saturating_mul(args.args.len()))
}

/// The third argument in place of every character of the first, which it may also quote.
fn replaced(args: &ScalarFunctionArgs) -> usize {
    let text = args.args.first().map_or(0, |value| bytes_in_rows(value, args.number_rows));
    let replacement = args.args.get(2).map_or(0, longest);
    text.saturating_add(args.number_rows).saturating_mul(replacement.saturating_add(1))
}

fn bytes_in_rows(value: &ColumnarValue, rows: usize) -> usize {
    match value {
        ColumnarValue::Array(array) => bytes(array),
        ColumnarValue::Scalar(scalar) => {
            scalar.try_as_str().flatten().map_or_else(|| scalar.size(), str::len).saturating_mul(rows)
        }
    }
}

/// Bytes of the values of an array, without what its buffers hold besides.
fn bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(str::len).sum(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(str::len).sum(),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(str::len).sum(),
        _ => array.get_array_memory_size(), // numbers, times and the like are small
    }
}

/// Bytes of the longest text.
fn longest(value: &ColumnarValue) -> usize {
    let ColumnarValue::Array(array) = value else { return bytes_in_rows(value, 1) };
    let longest = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(str::len).max(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(str::len).max(),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(str::len).max(),
        _ => Some(array.get_array_memory_size()), // no replacement is of another type
    };
    longest.unwrap_or_default()
}

/// Plans the operators that make texts or lists: `||` under a bound, lists and maps refused but for the empty ones.
#[derive(Debug)]
pub(crate) struct GrowingOperators;

impl ExprPlanner for GrowingOperators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use datafusion::sql::sqlparser::ast::BinaryOperator;
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let joined = binary_expr(expr.left, Operator::StringConcat, expr.right);
        let checked = ScalarUDF::from(Checked { signature: Signature::any(1, Volatility::Immutable) });
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(checked), vec![joined]))))
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        if exprs.iter().all(|expr| matches!(expr, Expr::Literal(..))) {
            return Ok(PlannerResult::Planned(make_array(exprs)));
        }
        Err(refused("[…]"))
    }

    fn plan_dictionary_literal(&self, _: RawDictionaryExpr, _: &DFSchema) -> Result<PlannerResult<RawDictionaryExpr>> {
        Err(refused("{…}"))
    }

    fn plan_make_map(&self, _: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Err(refused("map"))
    }
}

/// Passes on what `||` made, if it is not too much: two checked arguments make twice the bound at most.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|joined| joined.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check_size(self.name(), joined(&args))?;
        args.args.into_iter().next().ok_or_else(|| DataFusionError::Internal("`||` without arguments".to_owned()))
    }
}
