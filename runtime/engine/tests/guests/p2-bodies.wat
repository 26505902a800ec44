;; A WASI p2 command that makes requests with a body again and again, gives up the bodies and keeps the requests.
(component $command
  (import "wasi:http/types@0.2.3" (instance $http
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "outgoing-body" (type $body (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
    (export "[method]outgoing-request.body" (func (param "self" (borrow $request)) (result (result (own $body)))))))
  (alias export $http "outgoing-body" (type $outgoing-body))

  (core module $libc (memory (export "memory") 2))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $request (canon lower (func $http "[constructor]outgoing-request")))
  (core func $body (canon lower (func $http "[method]outgoing-request.body") (memory $memory)))
  (core func $drop (canon resource.drop $outgoing-body))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request" (func $request (param i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "run") (result i32)
      (loop $more
        (call $body (call $request (call $fields)) (i32.const 16))
        (call $drop (i32.load (i32.const 20)))
        (br_if $more (i32.eqz (i32.load8_u (i32.const 16)))))
      (i32.const 1)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "fields" (func $fields))
      (export "request" (func $request))
      (export "body" (func $body))
      (export "drop" (func $drop))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
