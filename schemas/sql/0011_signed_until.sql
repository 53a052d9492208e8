-- When the signature over the answer itself ends, as the last poll saw it: a zone may sign the same data anew each time.
ALTER TABLE verdicts ADD COLUMN IF NOT EXISTS
    signed_until SimpleAggregateFunction(anyLast, Nullable(DateTime64(6, 'UTC')))
