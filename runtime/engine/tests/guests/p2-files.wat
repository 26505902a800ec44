;; A WASI p2 command on the file "f" of its first mount. By the number of its arguments:
;; 1 opens it for writing, 2 creates a folder "g", 3 opens it for reading until that fails, dropping the descriptors
;; but keeping a stream of each, 4 creates the file and writes 1 KiB again and again until that fails, 5 tries to create
;; the folder "d/g" 3,000 times. Exits with 100 + n for the error code of number n, or 0.
(component $files
  (import "wasi:io/error@0.2.3" (instance $io-error (export "error" (type (sub resource)))))
  (import "wasi:io/streams@0.2.3" (instance $streams (export "input-stream" (type (sub resource)))))
  (alias export $streams "input-stream" (type $input-stream))
  (import "wasi:cli/environment@0.2.3" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.2.12" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))
  (import "wasi:filesystem/types@0.2.3" (instance $types
    (alias outer $files $input-stream (type $outer-input))
    (export "input-stream" (type $input (eq $outer-input)))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $path-bits (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-bits)))
    (type $open-bits (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-bits)))
    (type $descriptor-bits (flags
      "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-bits)))
    (type $codes (enum
      "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links"
      "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space"
      "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow"
      "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $codes)))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor))
      (param "path-flags" $path-flags) (param "path" string) (param "open-flags" $open-flags)
      (param "flags" $descriptor-flags) (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.create-directory-at" (func (param "self" (borrow $descriptor))
      (param "path" string) (result (result (error $error-code)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $descriptor))
      (param "buffer" (list u8)) (param "offset" u64) (result (result u64 (error $error-code)))))
    (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor))
      (param "offset" u64) (result (result (own $input) (error $error-code)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.3" (instance $preopens
    (alias outer $files $descriptor (type $outer-descriptor))
    (export "descriptor" (type $descriptor (eq $outer-descriptor)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  (core module $libc
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $open-at (canon lower (func $types "[method]descriptor.open-at")
    (memory $memory) string-encoding=utf8))
  (core func $create-directory-at (canon lower (func $types "[method]descriptor.create-directory-at")
    (memory $memory) string-encoding=utf8))
  (core func $write (canon lower (func $types "[method]descriptor.write") (memory $memory)))
  (core func $read-via-stream (canon lower (func $types "[method]descriptor.read-via-stream") (memory $memory)))
  (core func $get-directories (canon lower (func $preopens "get-directories")
    (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $get-arguments (canon lower
    (func $environment "get-arguments") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $exit-with-code (canon lower (func $exit "exit-with-code")))
  (core func $drop-descriptor (canon resource.drop $descriptor))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "create-directory-at" (func $create-directory-at (param i32 i32 i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "host" "read-via-stream" (func $read-via-stream (param i32 i64 i32)))
    (import "host" "get-directories" (func $get-directories (param i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "exit-with-code" (func $exit-with-code (param i32)))
    (import "host" "drop-descriptor" (func $drop-descriptor (param i32)))
    (data (i32.const 128) "fg")
    (data (i32.const 136) "d/g")
    (func $open (param $mount i32) (param $flags i32)
      (call $open-with (local.get $mount) (local.get $flags) (i32.const 0)))
    (func $open-with (param $mount i32) (param $flags i32) (param $how i32)
      (call $open-at (local.get $mount) (i32.const 0) (i32.const 128) (i32.const 1) (local.get $how)
        (local.get $flags) (i32.const 64))
      (if (i32.load8_u (i32.const 64)) (then
        (call $exit-with-code (i32.add (i32.const 100) (i32.load8_u (i32.const 68)))))))
    (func (export "run") (result i32)
      (local $mount i32) (local $count i32) (local $offset i64)
      (call $get-arguments (i32.const 0))
      (local.set $count (i32.load (i32.const 4)))
      (call $get-directories (i32.const 8))
      (local.set $mount (i32.load (i32.load (i32.const 8))))
      (if (i32.eq (local.get $count) (i32.const 1)) (then (call $open (local.get $mount) (i32.const 2))))
      (if (i32.eq (local.get $count) (i32.const 2)) (then
        (call $create-directory-at (local.get $mount) (i32.const 129) (i32.const 1) (i32.const 64))
        (if (i32.load8_u (i32.const 64)) (then
          (call $exit-with-code (i32.add (i32.const 100) (i32.load8_u (i32.const 65))))))))
      (if (i32.eq (local.get $count) (i32.const 3)) (then
        (loop $more
          (call $open (local.get $mount) (i32.const 1))
          (call $read-via-stream (i32.load (i32.const 68)) (i64.const 0) (i32.const 80))
          (call $drop-descriptor (i32.load (i32.const 68)))
          (br $more))))
      (if (i32.eq (local.get $count) (i32.const 4)) (then
        (call $open-with (local.get $mount) (i32.const 2) (i32.const 1))
        (local.set $count (i32.load (i32.const 68)))
        (loop $more
          (call $write (local.get $count) (i32.const 8192) (i32.const 1024) (local.get $offset) (i32.const 64))
          (if (i32.load8_u (i32.const 64)) (then
            (call $exit-with-code (i32.add (i32.const 100) (i32.load8_u (i32.const 72))))))
          (local.set $offset (i64.add (local.get $offset) (i64.const 1024)))
          (br $more))))
      (if (i32.eq (local.get $count) (i32.const 5)) (then
        (local.set $count (i32.const 3000))
        (loop $more
          (call $create-directory-at (local.get $mount) (i32.const 136) (i32.const 3) (i32.const 64))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br_if $more (local.get $count)))))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "open-at" (func $open-at))
      (export "create-directory-at" (func $create-directory-at))
      (export "write" (func $write))
      (export "read-via-stream" (func $read-via-stream))
      (export "get-directories" (func $get-directories))
      (export "get-arguments" (func $get-arguments))
      (export "exit-with-code" (func $exit-with-code))
      (export "drop-descriptor" (func $drop-descriptor))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
