Feature: Reading subscriptions
  A client sees its own subscriptions, and a user's token that user's.

  Scenario: A client without subscriptions gets an empty list
    When the subscriptions are listed
    Then the answer is 200
    And the answer has the x-correlator of the request
    And the list is empty

  Scenario: A client lists its subscriptions
    Given a subscription to session-invitation
    And a subscription to session-status
    And a subscription to registration-ends
    When the subscriptions are listed
    Then the answer is 200
    And the answer has the x-correlator of the request
    And the list has 3 items, each a valid Subscription that says when it began

  Scenario Outline: A client reads a subscription
    Given a subscription to <type>
    When the subscription is read
    Then the answer is 200
    And the answer is a valid Subscription
    And the answer has the x-correlator of the request
    And the answer repeats the request
    And the answer is as when the subscription was made

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario Outline: Another client's subscription looks like none
    Given a subscription to session-invitation
    When another client <does>
    Then the error is 404 NOT_FOUND
    And the error is the same as for a subscription that never was

    Examples:
      | does                     |
      | reads the subscription   |
      | deletes the subscription |

  Scenario: Another client's list is its own
    Given a subscription to session-invitation
    When another client lists its subscriptions
    Then the answer is 200
    And the list is empty

  Scenario: A user's token reaches what was made for that user only
    Given the token stands for the user "alice"
    And a subscription to session-invitation
    When the subscription is read
    Then the answer is 200
    Given the token stands for the user "bob"
    When the subscription is read
    Then the error is 404 NOT_FOUND
    When the subscription is deleted
    Then the error is 404 NOT_FOUND
    When the subscriptions are listed
    Then the answer is 200
    And the list is empty

  Scenario: A client's own token reaches what it made for any user
    Given the token stands for the user "alice"
    And a subscription to session-invitation
    And the token stands for no user
    When the subscription is read
    Then the answer is 200
    When the subscriptions are listed
    Then the answer is 200
    And the list has 1 items, each a valid Subscription that says when it began
    When the subscription is deleted
    Then the answer is 204

  Scenario: A subscription that nobody made is not found
    Given the id of a subscription that never was
    When the subscription is read
    Then the error is 404 NOT_FOUND
    And the answer has the x-correlator of the request

  Scenario: An empty id is refused
    When GET is sent to "/subscriptions/"
    Then the error is 400 INVALID_ARGUMENT
    And the message names "subscriptionId"

  Scenario: A subscription that ended can be read for a while
    Given a request for session-invitation
    And the request has "config.subscriptionMaxEvents" set to 1
    And the request is sent
    When the gateway publishes a session-invitation
    Then the subscription is shown as EXPIRED
    And the answer is a valid Subscription
