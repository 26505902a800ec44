;; A WASI p2 command that makes headers of 60,000 bytes again and again, and keeps them all.
(component $command
  (import "wasi:http/types@0.2.3" (instance $http
    (export "fields" (type $fields (sub resource)))
    (type $failures (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $failures)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list u8)) (result (result (error $header-error)))))))

  (core module $libc
    (memory (export "memory") 2)
    (data (i32.const 64) "x-long"))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

  (core func $make (canon lower (func $http "[constructor]fields")))
  (core func $append (canon lower (func $http "[method]fields.append") (memory $memory) string-encoding=utf8))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "make" (func $make (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (func (export "run") (result i32)
      (memory.fill (i32.const 1024) (i32.const 120) (i32.const 60000))
      (loop $more
        (call $append (call $make) (i32.const 64) (i32.const 6) (i32.const 1024) (i32.const 60000) (i32.const 16))
        (br_if $more (i32.eqz (i32.load8_u (i32.const 16)))))
      (i32.const 1)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "make" (func $make))
      (export "append" (func $append))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
