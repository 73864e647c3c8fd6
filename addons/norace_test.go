//go:build !race

package addons_test

// raceDetector tells that the tests run under the race detector, where memory is several times what it is.
const raceDetector = false
