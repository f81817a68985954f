//! Types in SQL's words.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};

/// The name of a type: `VARCHAR`, `BIGINT`, `TIMESTAMP`, `VARCHAR[]`, `MAP(VARCHAR, VARCHAR)`.
pub(crate) fn name(data_type: &DataType) -> String {
    let simple = match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float16 | DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Duration(_)
        | DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => {
            "INTERVAL"
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BLOB"
        }
        _ => "",
    };
    if !simple.is_empty() {
        return simple.to_owned();
    }
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("{}[]", name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("MAP({}, {})", name(fields[0].data_type()), name(fields[1].data_type()))
            }
            _ => "MAP".to_owned(),
        },
        DataType::Struct(fields) => {
            let members: Vec<String> =
                fields.iter().map(|field| format!("{} {}", field.name(), name(field.data_type()))).collect();
            format!("STRUCT({})", members.join(", "))
        }
        DataType::Dictionary(_, value) => name(value),
        DataType::RunEndEncoded(_, value) => name(value.data_type()),
        other => other.to_string().to_uppercase(),
    }
}
