//! Functions of components: values in WAVE, the text form of the component model.
//!
//! A parameter of type `string` or `char` takes its argument as it is, without the quotes WAVE has around it; inside
//! lists and records there are quotes. A string that is returned is printed as it is as well.

use super::{Returned, Usage, wrong_count, wrong_value};
use crate::state::ComponentState;
use wasmtime::Store;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::wasm_wave::wasm::{DisplayType, WasmType, WasmTypeKind};
use wasmtime::component::{Component, ComponentExportIndex, Func, Type, Val};

/// An exported function: `name`, `interface#name`, or the name of a function that only one interface has.
pub(crate) fn find(
    component: &Component,
    name: &str,
) -> Option<(ComponentFunc, ComponentExportIndex)> {
    let in_interface = |interface: &str, name: &str| {
        let (_, interface) = component.get_export(None, interface)?;
        function(component, Some(&interface), name)
    };
    if let Some((interface, name)) = name.rsplit_once('#') {
        return in_interface(interface, name);
    }
    let own = function(component, None, name);
    own.or_else(|| {
        let ty = component.component_type();
        let interfaces = ty
            .exports(component.engine())
            .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentInstance(_)));
        let mut found = interfaces.filter_map(|(interface, _)| in_interface(interface, name));
        let first = found.next()?;
        found.next().is_none().then_some(first)
    })
}

fn function(
    component: &Component,
    interface: Option<&ComponentExportIndex>,
    name: &str,
) -> Option<(ComponentFunc, ComponentExportIndex)> {
    match component.get_export(interface, name)? {
        (ComponentItem::ComponentFunc(ty), index) => Some((ty, index)),
        _ => None,
    }
}

/// The arguments as values of the parameters' types.
pub(super) fn arguments(ty: &ComponentFunc, texts: &[String]) -> Result<Vec<Val>, Usage> {
    if ty.params().len() != texts.len() {
        let names: Vec<String> = ty
            .params()
            .map(|(name, ty)| format!("{name}: {}", type_name(&ty)))
            .collect();
        return Err(wrong_count(texts.len(), &names));
    }
    let pairs = ty.params().zip(texts).enumerate();
    pairs
        .map(|(position, ((_, ty), text))| {
            value(&ty, text).ok_or_else(|| wrong_value(position, text, &type_name(&ty)))
        })
        .collect()
}

fn value(ty: &Type, text: &str) -> Option<Val> {
    match ty {
        Type::String => Some(Val::String(text.to_owned())),
        Type::Char => {
            let mut characters = text.chars();
            let first = characters.next()?;
            characters.next().is_none().then_some(Val::Char(first))
        }
        ty if readable(ty) => Val::from_wave(ty, text).ok(),
        _ => None,
    }
}

/// Handles, streams and the like cannot be written down.
fn readable(ty: &Type) -> bool {
    ty.kind() != WasmTypeKind::Unsupported
}

fn type_name(ty: &Type) -> String {
    match readable(ty) {
        true => DisplayType(ty).to_string(),
        false => "value that can be written down (the parameter is a handle)".to_owned(),
    }
}

pub(super) async fn call(
    store: &mut Store<ComponentState>,
    function: Func,
    ty: &ComponentFunc,
    values: &[Val],
) -> wasmtime::Result<Returned> {
    let mut results = vec![Val::Bool(false); ty.results().len()];
    function.call_async(store, values, &mut results).await?;
    match results.as_slice() {
        [Val::Result(Ok(value))] => Ok(Returned::values(lines(value.as_deref())?)),
        [Val::Result(Err(value))] => Ok(Returned::error(lines(value.as_deref())?)),
        values => {
            let lines: wasmtime::Result<Vec<String>> = values.iter().map(text).collect();
            Ok(Returned::values(lines?))
        }
    }
}

fn lines(value: Option<&Val>) -> wasmtime::Result<Vec<String>> {
    value.map(text).into_iter().collect()
}

fn text(value: &Val) -> wasmtime::Result<String> {
    match value {
        Val::String(text) => Ok(text.clone()),
        Val::Char(character) => Ok(character.to_string()),
        Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => {
            Ok("(a handle)".to_owned())
        }
        value => value.to_wave(),
    }
}
