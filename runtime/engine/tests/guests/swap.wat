;; In its first mount, for ever: puts the link "dir" -> "../outside" in the place of the folder "dir", and takes it away.
(module
  (import "wasi_snapshot_preview1" "path_rename"
    (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $path_unlink_file (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "dir")
  (data (i32.const 16) "real")
  (data (i32.const 32) "../outside")
  (func (export "_start")
    (loop $again
      (drop (call $path_rename (i32.const 3) (i32.const 0) (i32.const 3)
        (i32.const 3) (i32.const 16) (i32.const 4)))
      (drop (call $path_symlink (i32.const 32) (i32.const 10) (i32.const 3) (i32.const 0) (i32.const 3)))
      (drop (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 3)))
      (drop (call $path_rename (i32.const 3) (i32.const 16) (i32.const 4)
        (i32.const 3) (i32.const 0) (i32.const 3)))
      (br $again))))
