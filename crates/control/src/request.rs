//! One request and one response of JSON-RPC 2.0 (sections 4 and 5), with SPDK's liberties.
//!
//! `jsonrpc` may be absent, `params` may be null, a request without `id` is a notification and gets no answer, and no
//! member beyond the four is allowed.

use serde_json::{Map, Value};

use crate::error::RpcError;

/// A well-formed request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to call.
    pub method: String,
    /// The named parameters, or none.
    pub params: Option<Map<String, Value>>,
    /// What to echo in the response; absent in a notification.
    pub id: Option<Value>,
}

/// Why a value is no request, and the id to answer under (null if it had none that is legal).
#[derive(Debug, Clone, PartialEq)]
pub struct BadRequest {
    /// The id to echo.
    pub id: Value,
    /// What is wrong.
    pub error: RpcError,
}

impl Request {
    /// Reads a request out of a JSON value.
    pub fn from_value(value: Value) -> Result<Self, BadRequest> {
        let Value::Object(mut members) = value else {
            return Err(bad(Value::Null, "not an object"));
        };
        let id = match members.shift_remove("id") {
            None => None,
            Some(id @ (Value::Null | Value::Number(_) | Value::String(_))) => Some(id),
            Some(_) => return Err(bad(Value::Null, "an id is a number, a string or null")),
        };
        let echo = || id.clone().unwrap_or(Value::Null);
        match members.shift_remove("jsonrpc") {
            None => {}
            Some(Value::String(version)) if version == "2.0" => {}
            Some(_) => return Err(bad(echo(), "jsonrpc is not \"2.0\"")),
        }
        let Some(Value::String(method)) = members.shift_remove("method") else {
            return Err(bad(echo(), "method is not a string"));
        };
        let params = match members.shift_remove("params") {
            None | Some(Value::Null) => None,
            Some(Value::Object(params)) => Some(params),
            Some(_) => {
                let error = RpcError::invalid_params("parameters are named, in an object");
                return Err(BadRequest { id: echo(), error });
            }
        };
        if !members.is_empty() {
            return Err(bad(echo(), "a member other than jsonrpc, method, params and id"));
        }
        Ok(Self { method, params, id })
    }
}

/// The response that carries a result.
pub fn success(id: Value, result: Value) -> Value {
    serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// The response that carries an error.
pub fn failure(id: Value, error: &RpcError) -> Value {
    serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": error.code, "message": error.message } })
}

fn bad(id: Value, detail: &str) -> BadRequest {
    BadRequest { id, error: RpcError::invalid_request(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(value: Value) -> (Value, i32) {
        let bad = Request::from_value(value).expect_err("no request");
        (bad.id, bad.error.code)
    }

    #[test]
    fn the_liberties_are_taken() {
        let request =
            Request::from_value(json!({"method": "m", "params": null, "id": null})).expect("a request");
        assert_eq!(request, Request { method: "m".into(), params: None, id: Some(Value::Null) });
        let request = Request::from_value(json!({"method": "m", "jsonrpc": "2.0"})).expect("a notification");
        assert_eq!(request.id, None);
    }

    #[test]
    fn what_is_no_request_says_so_under_its_id() {
        assert_eq!(code(json!([])), (Value::Null, RpcError::INVALID_REQUEST));
        assert_eq!(code(json!({"id": 7})), (json!(7), RpcError::INVALID_REQUEST));
        assert_eq!(code(json!({"id": {}, "method": "m"})), (Value::Null, RpcError::INVALID_REQUEST));
        assert_eq!(code(json!({"id": "x", "method": 1})), (json!("x"), RpcError::INVALID_REQUEST));
        assert_eq!(code(json!({"id": 1, "method": "m", "more": 1})), (json!(1), RpcError::INVALID_REQUEST));
        assert_eq!(
            code(json!({"id": 1, "method": "m", "jsonrpc": "1.0"})),
            (json!(1), RpcError::INVALID_REQUEST)
        );
        assert_eq!(
            code(json!({"id": 1, "method": "m", "params": [1]})),
            (json!(1), RpcError::INVALID_PARAMS)
        );
    }
}
