//! Functions of core modules: numbers in, numbers out.

use super::{Returned, Usage, wrong_count, wrong_value};
use crate::state::P1State;
use wasmtime::{ExternType, FuncType, Instance, Module, Store, Val, ValType};

/// What a module without `_start` is to be called with first, if it exports it.
const INITIALIZE: &str = "_initialize";

/// The type of an exported function.
pub(super) fn function(module: &Module, name: &str) -> Option<FuncType> {
    match module.get_export(name) {
        Some(ExternType::Func(ty)) => Some(ty),
        _ => None,
    }
}

/// Whether the module exports a function of this name.
pub(crate) fn has(module: &Module, name: &str) -> bool {
    function(module, name).is_some()
}

/// The arguments as values of the parameters' types.
pub(super) fn arguments(ty: &FuncType, texts: &[String]) -> Result<Vec<Val>, Usage> {
    let parameters: Vec<ValType> = ty.params().collect();
    if parameters.len() != texts.len() {
        let names: Vec<String> = parameters.iter().map(ValType::to_string).collect();
        return Err(wrong_count(texts.len(), &names));
    }
    let pairs = parameters.iter().zip(texts).enumerate();
    pairs
        .map(|(position, (ty, text))| {
            value(ty, text).ok_or_else(|| wrong_value(position, text, &ty.to_string()))
        })
        .collect()
}

/// Integers are read as signed or unsigned, since Wasm does not tell them apart.
fn value(ty: &ValType, text: &str) -> Option<Val> {
    Some(match ty {
        ValType::I32 => {
            let signed = text.parse::<i32>();
            Val::I32(
                signed
                    .or_else(|_| text.parse::<u32>().map(|v| v as i32))
                    .ok()?,
            )
        }
        ValType::I64 => {
            let signed = text.parse::<i64>();
            Val::I64(
                signed
                    .or_else(|_| text.parse::<u64>().map(|v| v as i64))
                    .ok()?,
            )
        }
        ValType::F32 => Val::F32(text.parse::<f32>().ok()?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().ok()?.to_bits()),
        ValType::V128 | ValType::Ref(_) => return None,
    })
}

pub(super) async fn call(
    store: &mut Store<P1State>,
    instance: &Instance,
    name: &str,
    values: &[Val],
) -> wasmtime::Result<Returned> {
    if let Some(initialize) = instance.get_func(&mut *store, INITIALIZE)
        && name != INITIALIZE
        && let Ok(initialize) = initialize.typed::<(), ()>(&*store)
    {
        initialize.call_async(&mut *store, ()).await?;
    }
    let Some(function) = instance.get_func(&mut *store, name) else {
        return Err(wasmtime::Error::msg("the function is gone"));
    };
    let mut results = vec![Val::I32(0); function.ty(&*store).results().len()];
    function.call_async(store, values, &mut results).await?;
    Ok(Returned::values(results.iter().map(text).collect()))
}

fn text(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(value) => format!("{:#034x}", value.as_u128()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_their_types() {
        let cases = [
            (ValType::I32, "-1", Some(Val::I32(-1))),
            (ValType::I32, "4294967295", Some(Val::I32(-1))),
            (ValType::I32, "4294967296", None),
            (ValType::I64, "18446744073709551615", Some(Val::I64(-1))),
            (ValType::F64, "2.5", Some(Val::F64(2.5_f64.to_bits()))),
            (ValType::F32, "inf", Some(Val::F32(f32::INFINITY.to_bits()))),
            (ValType::I32, "2.5", None),
            (ValType::I32, "", None),
            (ValType::V128, "0", None),
        ];
        for (ty, given, expected) in cases {
            let read = value(&ty, given).map(|value| text(&value));
            assert_eq!(read, expected.map(|value| text(&value)), "{ty} {given:?}");
        }
    }
}
