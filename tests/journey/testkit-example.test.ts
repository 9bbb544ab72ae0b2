// The example of docs/guide/test-with-the-testkit.md: importing it declares its tests here.
import '../../examples/testkit/sidecar.test.ts'
