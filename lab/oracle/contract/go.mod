module pipesegment.dev/lab/oracle/contract

go 1.26.0
