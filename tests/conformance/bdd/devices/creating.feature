Feature: createNotificationChannelSubscription of 0.3
  One subscription is to a device, and to up to three types of event.

  Scenario Outline: A subscription of each type is made at once
    Given a request for <type>
    When the request is sent
    Then the answer is 201
    And the answer is a valid Subscription
    And the answer has the x-correlator of the request
    And the answer has "status" set to "ACTIVE"
    And the answer repeats the request

    Examples:
      | type                                                    |
      | session-invitation                                      |
      | session-status                                          |
      | registration-ends                                       |
      | registration-ends, session-status                       |
      | session-status, registration-ends, session-invitation   |

  Scenario: All that can be asked for is repeated
    Given a request for session-invitation, session-status
    And the request has "config.subscriptionExpireTime" 600 s from now
    And the request has "config.subscriptionMaxEvents" set to 50
    And the request has "config.initialEvent" set to true
    And the request has "protocolSettings" set to {"headers": {"x-tenant": "blue"}, "method": "POST"}
    When the request is sent
    Then the answer is 201
    And the answer is a valid Subscription
    And the answer repeats the request
    When the subscription is read
    Then the answer repeats the request

  Scenario: initialEvent does nothing, as the contract says
    Given the device has a registration
    And the gateway publishes a session-invitation
    And a request for session-invitation, session-status
    And the request has "config.initialEvent" set to true
    And the request is sent
    When the gateway publishes the status "Ringing"
    Then the sink receives a session-status
    And nothing else has come to the sink

  Scenario: The sink's credential is shown nowhere
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    When the request is sent
    Then the answer is 201
    And the credential is not in the answer
    When the subscription is read
    Then the credential is not in the answer
    When the subscriptions are listed
    Then the answer is 200
    And the credential is not in the answer

  Scenario Outline: A body that is no request is refused
    When the client asks to create, with <body> as body
    Then the error is 400 INVALID_ARGUMENT
    And the answer has the x-correlator of the request

    Examples:
      | body            |
      | nothing         |
      | {}              |
      | []              |
      | {"protocol":    |

  Scenario Outline: A member that is needed is missing
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has no "<member>"
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT
    And the message names "<member>"

    Examples:
      | member                               |
      | protocol                             |
      | sink                                 |
      | types                                |
      | config                               |
      | config.subscriptionDetail            |
      | config.subscriptionDetail.deviceId   |
      | sinkCredential.credentialType        |
      | sinkCredential.accessToken           |
      | sinkCredential.accessTokenType       |
      | sinkCredential.accessTokenExpiresUtc |

  Scenario Outline: A member that the contract does not declare is refused, at any depth
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has "<member>" set to <value>
    When the request is sent
    Then the error is 400 INVALID_ARGUMENT
    And the message names "<member>"
    When the subscriptions are listed
    Then the answer is 200
    And the list is empty

    Examples:
      | member                                   | value                      |
      | unheardOf                                | 1                          |
      | id                                       | "mine"                     |
      | status                                   | "DELETED"                  |
      | startsAt                                 | "2099-01-01T00:00:00Z"     |
      | config.unheardOf                         | null                       |
      | config.subscriptionDetail.registrationId | "xsmcaum3z4zw4l0cu4w115m0" |
      | config.subscriptionDetail.sessionId      | "m1"                       |
      | sinkCredential.refreshToken              | "r"                        |
      | protocolSettings.unheardOf               | {}                         |

  Scenario Outline: A value that cannot be is refused
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    And the request has "<member>" set to <value>
    When the request is sent
    Then the error is 400 <code>
    And the message names "<member>"

    Examples:
      | member                               | value                                              | code               |
      | protocol                             | "MQTT5"                                            | INVALID_PROTOCOL   |
      | sinkCredential.credentialType        | "PLAIN"                                            | INVALID_CREDENTIAL |
      | sinkCredential.accessTokenType       | "mac"                                              | INVALID_TOKEN      |
      | sinkCredential.accessTokenExpiresUtc | "2020-01-01T00:00:00Z"                             | INVALID_ARGUMENT   |
      | sink                                 | "http://localhost/plain"                           | INVALID_SINK       |
      | sink                                 | "https://10.0.0.1/private"                         | INVALID_SINK       |
      | types                                | []                                                 | INVALID_ARGUMENT   |
      | types                                | ["org.camaraproject.webrtc-events.v0.session-status"] | INVALID_ARGUMENT |
      | types                                | ["org.camaraproject.webrtc-events-subscriptions.v0.subscription-ended"] | INVALID_ARGUMENT |
      | config.subscriptionExpireTime        | "2020-01-01T00:00:00Z"                             | INVALID_ARGUMENT   |
      | config.subscriptionExpireTime        | "2099-01-01T00:00:00"                              | INVALID_ARGUMENT   |
      | config.subscriptionMaxEvents         | 0                                                  | OUT_OF_RANGE       |
      | config.initialEvent                  | "yes"                                              | INVALID_ARGUMENT   |
      | config.subscriptionDetail.deviceId   | "7d44"                                             | INVALID_ARGUMENT   |
      | config.subscriptionDetail.deviceId   | ""                                                 | INVALID_ARGUMENT   |
      | config.subscriptionDetail.deviceId   | 5                                                  | INVALID_ARGUMENT   |
