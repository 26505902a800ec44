//! `wasi:http/types` in front of wasmtime-wasi-http's own: what makes the host hold more is added up as it is called, and
//! what is taken out of headers is given back.
//!
//! A guest's handles are measured when it gives way (`held.rs`). One that makes megabytes within its first millisecond and
//! then waits would not be for as long as it waits, so much growth is measured at once.

use crate::held::{self, BODY};
use crate::state::ComponentState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types as p2;
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostOutgoingRequest, HostOutgoingResponse};
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::{FieldMap, WasiHttpView};

/// The interfaces as wasmtime-wasi-http defines them; guests of other versions are linked to these.
const P2: &str = "wasi:http/types@0.2.12";
const P3: &str = "wasi:http/types@0.3.0";

/// Bytes of trailers, with what they take beside names and values. They wait behind their body, which does not show them.
const MAX_TRAILERS: usize = 16 << 10;

/// What a header takes beside its name and value.
const PER_HEADER: usize = 256;

type Caller<'a> = StoreContextMut<'a, ComponentState>;
type Fields = Resource<FieldMap>;
type Request = Resource<HostOutgoingRequest>;
type Response = Resource<HostOutgoingResponse>;
type Pairs = Vec<(String, Vec<u8>)>;

/// Replaces a function by one that first adds up what it takes. `$bytes` is asked with the caller, as `$caller`.
macro_rules! counted {
    ($linker:ident, $name:literal, $types:ident::$trait:ident::$function:ident,
        |$caller:ident, $($param:ident: $type:ty),*| $bytes:expr) => {
        $linker.func_wrap($name, |mut $caller: Caller<'_>, ($($param,)*): ($($type,)*)| {
            let bytes = $bytes;
            let state = $caller.data_mut();
            state.grows(bytes)?;
            Ok(($types::$trait::$function(&mut state.http(), $($param),*)?,))
        })?;
    };
}

/// The same for a function that changes headers, which may be fewer then.
macro_rules! changes_headers {
    ($linker:ident, $name:literal, $types:ident::$function:ident,
        |$fields:ident: Fields $(, $param:ident: $type:ty)*| $bytes:expr) => {
        $linker.func_wrap($name, |mut caller: Caller<'_>, ($fields, $($param,)*): (Fields, $($type,)*)| {
            let (state, map) = (caller.data_mut(), $fields.rep());
            state.grows($bytes)?;
            let before = headers(state, map);
            let mut http = state.http();
            let result = match $types::HostFields::$function(&mut http, $fields, $($param),*) {
                Ok(result) => Ok(result),
                Err(error) => Err($types::Host::convert_header_error(&mut http, error)?),
            };
            give_back(state, map, before);
            wasmtime::Result::Ok((result,))
        })?;
    };
}

/// The functions on headers, which both versions have.
macro_rules! fields {
    ($linker:ident, $types:ident) => {
        $linker.func_wrap(
            "[static]fields.from-list",
            |mut caller: Caller<'_>, (pairs,): (Pairs,)| {
                let state = caller.data_mut();
                state.grows(pairs.iter().map(|(name, value)| pair(name, value)).sum())?;
                let mut http = state.http();
                let result = match $types::HostFields::from_list(&mut http, pairs) {
                    Ok(fields) => Ok(fields),
                    Err(error) => Err($types::Host::convert_header_error(&mut http, error)?),
                };
                wasmtime::Result::Ok((result,))
            },
        )?;
        counted!(
            $linker,
            "[method]fields.clone",
            $types::HostFields::clone,
            |caller, fields: Fields| size(caller.data_mut(), &fields)
        );
        changes_headers!(
            $linker,
            "[method]fields.append",
            $types::append,
            |fields: Fields, name: String, value: Vec<u8>| pair(&name, &value)
        );
        changes_headers!(
            $linker,
            "[method]fields.set",
            $types::set,
            |fields: Fields, name: String, values: Vec<Vec<u8>>| values
                .iter()
                .map(|value| pair(&name, value))
                .sum()
        );
        changes_headers!(
            $linker,
            "[method]fields.delete",
            $types::delete,
            |fields: Fields, name: String| 0
        );
    };
}

/// Puts the counted functions in front of the originals, which must be there. The linker must allow shadowing.
pub(crate) fn guard_p2(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(P2)?;
    fields!(types, p2);
    counted!(
        types,
        "[method]outgoing-request.body",
        p2::HostOutgoingRequest::body,
        |caller, request: Request| BODY
    );
    counted!(
        types,
        "[method]outgoing-response.body",
        p2::HostOutgoingResponse::body,
        |caller, response: Response| BODY
    );
    counted!(
        types,
        "[method]outgoing-request.set-method",
        p2::HostOutgoingRequest::set_method,
        |caller, request: Request, method: p2::Method| match &method {
            p2::Method::Other(name) => name.len(),
            _ => 0,
        }
    );
    counted!(
        types,
        "[method]outgoing-request.set-scheme",
        p2::HostOutgoingRequest::set_scheme,
        |caller, request: Request, scheme: Option<p2::Scheme>| match &scheme {
            Some(p2::Scheme::Other(name)) => name.len(),
            _ => 0,
        }
    );
    counted!(
        types,
        "[method]outgoing-request.set-authority",
        p2::HostOutgoingRequest::set_authority,
        |caller, request: Request, text: Option<String>| length(&text)
    );
    counted!(
        types,
        "[method]outgoing-request.set-path-with-query",
        p2::HostOutgoingRequest::set_path_with_query,
        |caller, request: Request, text: Option<String>| length(&text)
    );
    types.func_wrap("[static]outgoing-body.finish", finish)
}

/// The same for WASI 0.3.
pub(crate) fn guard_p3(linker: &mut Linker<ComponentState>) -> wasmtime::Result<()> {
    type Request = Resource<p3::Request>;
    let mut types = linker.instance(P3)?;
    fields!(types, p3);
    changes_headers!(
        types,
        "[method]fields.get-and-delete",
        p3::get_and_delete,
        |fields: Fields, name: String| 0
    );
    counted!(
        types,
        "[method]request.set-method",
        p3::HostRequest::set_method,
        |caller, request: Request, method: p3::Method| match &method {
            p3::Method::Other(name) => name.len(),
            _ => 0,
        }
    );
    counted!(
        types,
        "[method]request.set-authority",
        p3::HostRequest::set_authority,
        |caller, request: Request, text: Option<String>| length(&text)
    );
    counted!(
        types,
        "[method]request.set-path-with-query",
        p3::HostRequest::set_path_with_query,
        |caller, request: Request, text: Option<String>| length(&text)
    );
    Ok(())
}

type Finish = (Resource<HostOutgoingBody>, Option<Fields>);

fn finish(
    mut caller: Caller<'_>,
    (body, trailers): Finish,
) -> wasmtime::Result<(Result<(), p2::ErrorCode>,)> {
    let state = caller.data_mut();
    let long = trailers
        .as_ref()
        .is_some_and(|trailers| size(state, trailers) > MAX_TRAILERS);
    let mut http = state.http();
    if long {
        p2::HostOutgoingBody::drop(&mut http, body)?;
        if let Some(trailers) = trailers {
            p2::HostFields::drop(&mut http, trailers)?;
        }
        let message = format!("trailers take more than {MAX_TRAILERS} bytes");
        return Ok((Err(p2::ErrorCode::InternalError(Some(message))),));
    }
    match p2::HostOutgoingBody::finish(&mut http, body, trailers) {
        Ok(()) => Ok((Ok(()),)),
        Err(error) => Ok((Err(p2::Host::convert_error_code(&mut http, error)?),)),
    }
}

fn pair(name: &str, value: &[u8]) -> usize {
    name.len() + value.len() + PER_HEADER
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

/// What a map of headers takes. A clone of it shares that until either is changed.
fn size(state: &mut ComponentState, fields: &Fields) -> usize {
    let most = state.max_field_bytes();
    let map = state.http().table.get(fields);
    map.map_or(0, |map| held::fields(map, most))
}

fn headers(state: &mut ComponentState, map: u32) -> usize {
    let map = Fields::new_borrow(map);
    state.http().table.get(&map).map_or(0, |map| map.len())
}

/// A map that has fewer headers now is made anew: it would keep the places of all it ever had.
fn give_back(state: &mut ComponentState, map: u32, before: usize) {
    let most = state.max_field_bytes();
    let Ok(map) = state.http().table.get_mut(&Fields::new_borrow(map)) else {
        return;
    };
    if map.len() < before
        && let Some(anew) = made_anew(map, most)
    {
        *map = anew;
    }
}

/// A map that may be changed with the same headers, and places for no more.
fn made_anew(map: &FieldMap, most: usize) -> Option<FieldMap> {
    let mut anew = FieldMap::new_mutable(most);
    for (name, value) in map.iter() {
        anew.append_raw(name.clone(), value.clone()).ok()?;
    }
    Some(anew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn what_is_taken_out_of_headers_leaves_no_places() {
        const MOST: usize = 128 << 10;
        let mut map = FieldMap::new_mutable(MOST);
        for number in 0..1_000 {
            let name = HeaderName::try_from(format!("x-{number}")).expect("valid");
            map.append_raw(name, HeaderValue::from_static("x"))
                .expect("within its limit");
        }
        let hooks = wasmtime_wasi_http::default_hooks();
        for number in 10..1_000 {
            map.remove_all(hooks, format!("x-{number}")).expect("there");
        }
        let anew = made_anew(&map, MOST).expect("it fits");
        assert_eq!(*anew, *map);
        assert!(map.capacity() >= 1_000 && anew.capacity() < 50);
    }
}
