"""What a document can hold."""

#: Bytes of a value. A Raft entry holds 1 MiB, of which a binary value takes four thirds of its size.
MAX_VALUE = 524_288
