// Answers every request with its path. Go's own library does not know components, so the functions of wasi:http are
// imported here by the names and shapes that the component model gives them in a core module.
package main

import (
	"runtime"
	"unsafe"
)

//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.path-with-query
func pathWithQuery(request int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [resource-drop]incoming-request
func dropRequest(request int32)

//go:wasmimport wasi:http/types@0.2.12 [constructor]fields
func newFields() int32

//go:wasmimport wasi:http/types@0.2.12 [constructor]outgoing-response
func newResponse(fields int32) int32

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-response.body
func responseBody(response int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]response-outparam.set
func setResponse(out, failed, response, e1 int32, e2 int64, e3, e4, e5, e6 int32)

//go:wasmimport wasi:http/types@0.2.12 [method]outgoing-body.write
func bodyWrite(body int32, result unsafe.Pointer)

//go:wasmimport wasi:http/types@0.2.12 [static]outgoing-body.finish
func bodyFinish(body, hasTrailers, trailers int32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [method]output-stream.blocking-write-and-flush
func streamWrite(stream int32, bytes unsafe.Pointer, length int32, result unsafe.Pointer)

//go:wasmimport wasi:io/streams@0.2.12 [resource-drop]output-stream
func dropStream(stream int32)

// Where results are written: a tag in the first byte, and what it says behind it.
type result struct {
	tag     uint8
	handle  int32
	length  int32
	unknown [64]byte
}

// The host asks for memory here, for texts it hands over. It is the guest's until the instance ends.
var given [][]byte

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size int32) unsafe.Pointer {
	block := make([]byte, size+align)
	given = append(given, block)
	at := uintptr(unsafe.Pointer(&block[0]))
	skip := (uintptr(align) - at%uintptr(align)) % uintptr(align)
	copy(block[skip:], unsafe.Slice((*byte)(old), oldSize))
	return unsafe.Pointer(&block[skip])
}

//go:wasmexport wasi:http/incoming-handler@0.2.12#handle
func handle(request, out int32) {
	var found, made result
	path := "/"
	pathWithQuery(request, unsafe.Pointer(&found))
	if found.tag == 1 {
		path = unsafe.String((*byte)(unsafe.Pointer(uintptr(found.handle))), found.length)
	}
	dropRequest(request)
	response := newResponse(newFields())
	responseBody(response, unsafe.Pointer(&made))
	body := made.handle
	setResponse(out, 0, response, 0, 0, 0, 0, 0, 0)
	bodyWrite(body, unsafe.Pointer(&made))
	stream := made.handle
	text := []byte("Go answers " + path + "\n")
	streamWrite(stream, unsafe.Pointer(&text[0]), int32(len(text)), unsafe.Pointer(&found))
	runtime.KeepAlive(text)
	dropStream(stream)
	bodyFinish(body, 0, 0, unsafe.Pointer(&found))
}

func main() {}
